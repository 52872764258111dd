"""The ranking page without a network, without a session, with a slow server: nothing is lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from annotator.models import Assignment, Membership, Project, Ranking
from annotator.quality import gold, watch
from annotator.ranking import asking
from tests.browser.rank_page import RANK, letters_of, status, stored
from tests.factories import make_comparison, make_prompt

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
    for _ in range(100):  # the judgment sets off beside what is drawn, and may come second
        if waiting:
            break
        page.wait_for_timeout(50)
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


def test_signing_in_again_sends_what_was_judged(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.context.clear_cookies(name="sessionid")
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("You were signed out. 1 kept on this device")
    expect(page.get_by_role("link", name="Sign in again")).to_have_count(1)
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="You were signed out")).to_be_visible()
    page.get_by_role("link", name="Sign in again").click()
    page.get_by_label("User name").fill("bob")
    page.get_by_label("Password").fill("bob")
    page.keyboard.press("Enter")
    expect(page.locator("#today")).to_contain_text("2 of 3 today")
    expect(page.get_by_role("link", name="Sign in again")).to_have_count(0)
    expect(status(page)).to_contain_text("Saved")
    assert [letters_of(ranking) for ranking in stored(2)] == [{"A": 1, "B": 2}] * 2


def take_the_clock(page: Page) -> None:
    """The page's time goes on by itself, and by leaps when the test says so."""
    page.clock.install()
    page.reload()
    page.wait_for_load_state("networkidle")


def look_again_until_visible(page: Page, locator: Locator) -> None:
    """Leap from look to look at the queue until it shows; an answer under way may still be the old one."""
    for _ in range(10):
        page.clock.run_for(10_500)
        try:
            expect(locator).to_be_visible(timeout=1_000)
        except AssertionError:
            continue
        return
    expect(locator).to_be_visible()


def test_a_pause_in_the_middle_keeps_everything_and_ends_by_itself(open_as, bob, alice, pairs):
    make_comparison(pairs[0].project)
    page = open_as(bob, RANK)
    take_the_clock(page)
    membership = Membership.objects.get(user=bob)
    watch.pause(membership, alice, "Please read the guidelines again.")
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Your part here is paused")).to_be_visible()
    expect(page.get_by_text("Please read the guidelines again.")).to_be_visible()
    page.keyboard.press("1")  # nothing can be judged now; what was is stored
    page.clock.run_for(10_500)
    expect(page.locator(".task-text")).to_be_hidden()
    stored(1)
    membership.refresh_from_db()
    watch.lift(membership, alice)
    look_again_until_visible(page, page.locator(".task-text"))
    expect(page.locator("#task-heading")).to_be_focused()
    page.keyboard.press("7")
    expect(status(page)).to_contain_text("B is much better")
    assert [letters_of(ranking) for ranking in stored(2)] == [{"A": 1, "B": 2}, {"A": 2, "B": 1}]


def test_the_end_of_a_pause_shows_what_was_left_even_if_nothing_new_waits(open_as, bob, alice, pairs):
    page = open_as(bob, RANK)
    take_the_clock(page)
    membership = Membership.objects.get(user=bob)
    watch.pause(membership, alice)
    page.keyboard.press("1")
    expect(page.locator("#paused")).to_be_visible()
    membership.refresh_from_db()
    watch.lift(membership, alice)
    pairs[2].project.comparisons.exclude(assignments__annotator=bob).delete()
    look_again_until_visible(page, page.locator(".task-text"))


def test_what_was_expected_is_told_also_of_a_judgment_sent_later(open_as, bob, project):
    project.gold_feedback, project.qualification_questions = "always", 2
    project.save()
    for text in ("First", "Second"):
        source = make_comparison(project, make_prompt(project, text))
        ids = sorted(source.completions.values_list("pk", flat=True))
        gold.make(source, ranks={ids[0]: 1, ids[1]: 2}, explanation="It is shorter.")
    page = open_as(bob, RANK)
    page.context.set_offline(True)
    page.keyboard.press("4")
    expect(status(page)).to_contain_text("1 kept on this device")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.context.set_offline(False)
    expect(page.get_by_role("dialog")).to_contain_text("It is shorter.")
    assert stored(1)[0].gold_score is not None


def test_without_a_network_at_the_next_one_the_page_says_so_and_goes_on_when_it_is_back(
    open_as, bob, project, pairs
):
    page = open_as(bob, RANK)
    fetched = []

    def only_once(route: Route) -> None:  # a page that finds the server slow fetches two ahead
        fetched.append(route)
        if len(fetched) == 1:
            route.continue_()
        else:
            route.abort()

    page.route("**/rank/next/", only_once)
    with page.expect_response("**/rank/next/"):
        page.reload()
    page.wait_for_load_state("networkidle")
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("Saved")
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="No connection")).to_be_visible()
    page.unroute("**/rank/next/")
    page.get_by_role("button", name="Try now").click()
    expect(page.locator(".task-text")).to_be_visible()
    stored(2)


def test_what_comes_into_an_empty_project_appears_by_itself(open_as, bob, project):
    page = open_as(bob, RANK)
    take_the_clock(page)
    expect(page.get_by_role("heading", name="That is all for now")).to_be_visible()
    make_comparison(project, make_prompt(project, "A new task"))
    look_again_until_visible(page, page.locator(".task-text"))
    expect(page.locator(".task-text")).to_have_text("A new task")
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="That is all for now")).to_be_visible()
    stored(1)


def test_who_is_not_asked_just_now_sees_until_when_and_goes_on_by_itself(open_as, bob, carol, project, pairs):
    project.asks_reliable = True
    project.save()
    asking.learn(project, {bob.pk: (0.5, 1e-6), carol.pk: (0.95, 1e-6)})
    theirs = Membership.objects.get(user=carol, project=project)
    assert asking.is_asked(theirs, carol, project)
    page = open_as(bob, RANK)
    take_the_clock(page)
    said = page.get_by_text("Others are being asked just now")
    expect(said).to_be_visible()
    expect(said.locator("time")).to_have_text(re.compile(r"\d\d:\d0"))
    expect(page.get_by_text("Nothing waits for you in this project")).to_be_hidden()
    Membership.objects.filter(pk=theirs.pk).update(looked_at=None)  # carol has left
    look_again_until_visible(page, page.locator(".task-text"))
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("Saved")
    stored(1)
