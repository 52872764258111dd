"""The ranking page without a network, without a session, with a slow server: nothing is lost."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from annotator.models import Assignment, Project, Ranking
from tests.browser.rank_page import RANK, letters_of, status, stored

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]


def test_the_next_one_is_there_at_once_even_if_the_server_is_slow(open_as, bob, pairs):
    page = open_as(bob, RANK)
    waiting: list[Route] = []
    page.route("**/rank/submit/", lambda route: waiting.append(route))
    took = page.evaluate(
        """() => new Promise((resolve) => {
            const began = performance.now();
            new MutationObserver(() => requestAnimationFrame(() => resolve(performance.now() - began)))
                .observe(document.getElementById("stage-place"), { childList: true });
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "1", bubbles: true }));
        })"""
    )
    assert took < 100
    assert not Ranking.objects.exists()
    [route] = waiting
    route.continue_()
    expect(status(page)).to_contain_text("A is much better")


def test_an_offline_judgment_is_kept_and_sent_once(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.context.set_offline(True)
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("1 kept on this device")
    page.keyboard.press("2")
    expect(status(page)).to_contain_text("2 kept on this device")
    assert not Ranking.objects.exists()
    page.context.set_offline(False)
    expect(status(page)).to_contain_text("everything is sent")
    assert [letters_of(ranking) for ranking in stored(2)] == [{"A": 1, "B": 2}] * 2
    expect(page.locator("#today")).to_contain_text("2 of 3 today")


def test_a_judgment_survives_a_crash_before_it_was_sent(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.route("**/rank/submit/", lambda route: route.abort())
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("kept on this device")
    assert not Ranking.objects.exists()
    page.unroute("**/rank/submit/")
    page.reload()
    expect(page.locator("#today")).to_contain_text("1 of 3 today")
    stored(1)


def test_an_answer_that_got_lost_does_not_count_twice(open_as, bob, pairs):
    page = open_as(bob, RANK)
    lost = []

    def lose_the_first_answer(route):
        if lost:
            route.continue_()
        else:
            lost.append(route.fetch())
            route.abort()

    page.route("**/rank/submit/", lose_the_first_answer)
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("everything is sent")
    stored(1)


def test_another_person_at_the_same_computer_does_not_send_it(open_as, bob, carol, pairs):
    page = open_as(bob, RANK)
    page.route("**/rank/submit/", lambda route: route.abort())
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("kept")
    page.get_by_text("bob", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    page.unroute("**/rank/submit/")
    page.get_by_label("User name").fill("carol")
    page.get_by_label("Password").fill("carol")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="My projects")).to_be_visible()
    page.goto(RANK)
    page.wait_for_load_state("networkidle")
    assert not Ranking.objects.exists()


def test_a_lost_session_keeps_the_judgment_until_one_is_back(open_as, bob, pairs):
    page = open_as(bob, RANK)
    cookies = page.context.cookies()
    page.context.clear_cookies(name="sessionid")
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("You were signed out")
    page.context.add_cookies(cookies)
    expect(status(page)).to_contain_text("everything is sent")
    stored(1)


def test_what_was_fetched_ahead_is_free_again_when_the_page_is_left(open_as, bob, pairs):
    page = open_as(bob, RANK)
    assert Assignment.objects.filter(state="leased").count() == 2
    page.goto("/")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)
    assert Assignment.objects.filter(state="leased").count() == 1


def test_a_judgment_of_what_others_have_judged_is_told(open_as, bob, project, pairs):
    page = open_as(bob, RANK)
    current = Assignment.objects.order_by("pk").first()
    Assignment.objects.filter(pk=current.pk).update(state="expired")
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("Not stored.")
    assert Project.objects.count() == 1
