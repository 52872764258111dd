"""People rank in a real browser: by keyboard, mouse and touch, without a network, in two languages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from annotator.models import Assignment, Completion, Project, Ranking
from tests.factories import make_comparison, make_guideline, make_prompt

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

RANK = "/projects/support/rank/"


@pytest.fixture
def pairs(project, bob):
    """Three tasks with a pair each, all for bob."""
    return [make_comparison(project, make_prompt(project, f"Task {letter}")) for letter in "PQR"]


@pytest.fixture
def four(project):
    project.response_format = "ranking"
    project.completions_per_comparison = 4
    project.save()
    return make_comparison(project, k=4)


def status(page: Page):
    return page.locator("#status")


def letters_of(ranking: Ranking) -> dict[str, int]:
    """The ranks by the letters under which the texts were shown."""
    return {letter: ranking.ranks[str(pk)] for letter, pk in zip("ABCDEFGHI", ranking.order, strict=False)}


def stored(count: int) -> list[Ranking]:
    rows = list(Ranking.objects.live().order_by("pk"))
    assert len(rows) == count
    return rows


def test_three_comparisons_by_keyboard_alone(open_as, bob, pairs):
    page = open_as(bob, RANK)
    for key, said in (("1", "A is much better"), ("4", "about the same"), ("6", "B is better")):
        page.keyboard.press(key)
        expect(status(page)).to_contain_text(said)
    expect(page.get_by_role("heading", name="That is all for now")).to_be_visible()
    expect(page.locator("#today")).to_contain_text("3 of 3 today")
    first, second, third = stored(3)
    assert (letters_of(first), first.strength) == ({"A": 1, "B": 2}, 3)
    assert (letters_of(second), second.strength) == ({"A": 1, "B": 1}, None)
    assert (letters_of(third), third.strength) == ({"A": 2, "B": 1}, 2)


def test_by_mouse(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.locator(".scale-option", has_text="slightly").last.click()
    expect(status(page)).to_contain_text("B is slightly better")
    page.get_by_role("button", name="All bad").click()
    expect(status(page)).to_contain_text("all bad")
    first, second = stored(2)
    assert (letters_of(first), first.strength) == ({"A": 2, "B": 1}, 1)
    assert second.verdict == "all_bad"


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


def test_undo_brings_the_choice_back(open_as, bob, pairs):
    page = open_as(bob, RANK)
    task = page.locator(".task-text").inner_text()
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("Saved")
    page.keyboard.press("z")
    expect(status(page)).to_contain_text("Taken back")
    expect(page.locator(".task-text")).to_have_text(task)
    expect(page.locator("input[value=a3]")).to_be_checked()
    page.keyboard.press("7")
    expect(status(page)).to_contain_text("B is much better")
    [ranking] = stored(1)
    assert letters_of(ranking) == {"A": 2, "B": 1}
    assert Ranking.objects.count() == 3


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


def test_a_draft_survives_a_reload(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.keyboard.press("w")
    page.keyboard.type("Because it says what to write.")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    expect(page.locator("input[value=a2]")).to_be_checked()
    page.reload()
    expect(page.locator("input[value=a2]")).to_be_checked()
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("A is better")
    [ranking] = stored(1)
    assert ranking.rationale == "Because it says what to write."


def test_why_flag_and_a_better_version_wait_for_enter(open_as, bob, pairs):
    page = open_as(bob, RANK)
    shown = Completion.objects.in_bulk(Assignment.objects.order_by("pk")[0].order)
    page.keyboard.press("f")
    page.get_by_label("B: broken").check()
    page.keyboard.press("Escape")
    page.keyboard.press("7")
    assert not Ranking.objects.exists()
    page.keyboard.press("e")
    box = page.get_by_label("Write a better version")
    expect(box).not_to_have_value("")
    box.press("End")
    page.keyboard.type(" In one word.")
    page.keyboard.press("Control+Enter")
    expect(status(page)).to_contain_text("B is much better")
    [ranking] = stored(1)
    b = ranking.order[1]
    assert ranking.flags == {str(b): ["broken"]}
    assert ranking.improved_text == f"{shown[b].text} In one word."


def test_an_unchanged_better_version_is_none(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.keyboard.press("e")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("Saved")
    assert stored(1)[0].improved_text == ""


def test_enter_within_an_input_method_never_submits(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.keyboard.press("x")
    page.locator("#reason-text").focus()
    devtools = page.context.new_cdp_session(page)
    devtools.send(
        "Input.imeSetComposition", {"text": "kan bu dong", "selectionStart": 11, "selectionEnd": 11}
    )
    for kind in ("rawKeyDown", "keyUp"):  # as Chromium sends it while an input method has the key
        devtools.send("Input.dispatchKeyEvent", {"type": kind, "key": "Enter", "windowsVirtualKeyCode": 229})
    page.evaluate(
        """() => document.activeElement.dispatchEvent(
            new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true }))"""
    )
    devtools.send("Input.insertText", {"text": "看不懂"})
    page.wait_for_timeout(300)
    assert not Ranking.objects.exists()
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("cannot be judged")
    [ranking] = stored(1)
    assert (ranking.verdict, ranking.reason) == ("cannot_judge", "看不懂")


def test_cannot_judge_wants_a_reason_and_skip_does_not_come_back(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.keyboard.press("x")
    page.get_by_role("button", name="Can't be judged").click()
    expect(status(page)).to_contain_text("Give a reason first")
    page.get_by_label("The task makes no sense").check()
    page.get_by_role("button", name="Skip, leave it to others").click()
    expect(status(page)).to_contain_text("It will not come back to you")
    skipped = Assignment.objects.get(state="skipped")
    assert skipped.skip_reason == "The task makes no sense"


def test_four_are_ranked_by_keyboard_with_a_tie(open_as, bob, four):
    page = open_as(bob, RANK)
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("Still to rank: A, B, C, D.")
    for key in "c1" + "a2" + "b2" + "d4":
        page.keyboard.press(key)
    expect(page.locator('[data-lane="2"] .chip')).to_have_text(["A", "B"])
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("C > A = B > D")
    assert letters_of(stored(1)[0]) == {"A": 2, "B": 2, "C": 1, "D": 3}


def test_numbers_alone_go_from_card_to_card(open_as, bob, four):
    page = open_as(bob, RANK)
    for key in "4321":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("D > C > B > A")


def test_four_are_ranked_by_dragging(open_as, bob, four):
    page = open_as(bob, RANK)
    for letter, lane in (("B", 1), ("A", 2), ("D", 2), ("C", 3)):
        chip = page.locator(".lane-tray .chip", has_text=letter)
        chip.drag_to(page.locator(f'[data-lane="{lane}"]'))
    page.get_by_role("button", name="Submit").click()
    expect(status(page)).to_contain_text("B > A = D > C")
    assert letters_of(stored(1)[0]) == {"A": 2, "B": 1, "C": 3, "D": 2}


def test_a_place_pressed_again_is_taken_back(open_as, bob, four):
    page = open_as(bob, RANK)
    place = page.locator('[data-letter="A"] .place', has_text="3")
    place.click()
    expect(page.locator('[data-lane="3"] .chip')).to_have_text("A")
    place.click()
    expect(page.locator(".lane-tray .chip")).to_have_count(4)


def test_best_and_worst_of_four(open_as, bob, project, four):
    project.response_format = "best_worst"
    project.save()
    page = open_as(bob, RANK)
    for key in "b1c2":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("B > A = D > C")
    assert letters_of(stored(1)[0]) == {"A": 2, "B": 1, "C": 3, "D": 2}


def test_all_bad_has_another_key_where_b_is_a_card(open_as, bob, four):
    page = open_as(bob, RANK)
    page.keyboard.press("n")
    expect(status(page)).to_contain_text("all bad")
    assert stored(1)[0].verdict == "all_bad"


def test_scales_are_asked_before_it_is_sent(open_as, bob, project, pairs):
    project.attribute_scales = ["clarity"]
    project.save()
    page = open_as(bob, RANK)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("Rate each instruction")
    for letter, value in (("A", "5"), ("B", "2")):
        group = page.get_by_role("group", name=f"clarity, {letter}")
        group.locator(".place", has_text=value).click()
    page.get_by_role("button", name="Submit").click()
    expect(status(page)).to_contain_text("Saved")
    [ranking] = stored(1)
    assert ranking.ratings == {str(ranking.order[0]): {"clarity": 5}, str(ranking.order[1]): {"clarity": 2}}


def test_on_a_phone_everything_fits_and_answers_to_a_finger(open_as, bob, pairs):
    page = open_as(bob, RANK, phone=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    scale = page.locator(".scale").bounding_box()
    assert scale["y"] + scale["height"] < 844
    page.locator(".scale-option", has_text="much better").first.tap()
    expect(status(page)).to_contain_text("A is much better")
    stored(1)


def test_four_on_a_phone(open_as, bob, four):
    page = open_as(bob, RANK, phone=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for letter, place in zip("ABCD", "1234", strict=True):
        page.locator(f'[data-letter="{letter}"] .place', has_text=place).tap()
    page.get_by_role("button", name="Submit").tap()
    expect(status(page)).to_contain_text("A > B > C > D")


def test_at_twice_the_size_nothing_is_cut_off(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.set_viewport_size({"width": 683, "height": 384})  # 1366 x 768 at 200 %
    assert page.evaluate("document.documentElement.scrollWidth") == 683
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("Saved")


def test_eighty_words_need_no_scrolling(open_as, bob, project, pairs):
    prompt = make_prompt(project, "A customer writes about a damaged parcel. " * 3)
    text = " ".join(["instruction"] * 79)
    completions = [Completion.objects.create(prompt=prompt, text=f"{text} {number}") for number in (1, 2)]
    make_comparison(project, completions=completions, priority=9)
    page = open_as(bob, RANK)
    expect(page.locator(".instruction-text").first).to_contain_text("instruction instruction")
    assert page.evaluate("document.documentElement.scrollHeight") <= 768


def test_very_long_words_stay_in_their_card(open_as, bob, project):
    prompt = make_prompt(project, "W" * 3000)
    completions = [Completion.objects.create(prompt=prompt, text=letter * 3000) for letter in "VX"]
    make_comparison(project, completions=completions)
    page = open_as(bob, RANK)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1366
    assert page.locator(".scale").bounding_box()["y"] < 768


def test_new_guidelines_come_first_and_once(open_as, bob, project, pairs):
    make_guideline(project, "Prefer the **clear** one.")
    page = open_as(bob, RANK)
    expect(page.get_by_role("heading", name=re.compile("Guidelines v1"))).to_be_visible()
    expect(page.locator("#task-heading")).not_to_be_visible()
    page.keyboard.press("1")
    assert not Ranking.objects.exists()
    page.keyboard.press("Enter")
    expect(page.locator("#task-heading")).to_be_visible()
    page.reload()
    expect(page.locator("#task-heading")).to_be_visible()
    page.keyboard.press("g")
    expect(page.get_by_text("Prefer the clear one.")).to_be_visible()
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("Saved")


def test_differences_are_marked_on_a_key_and_stay(open_as, bob, project):
    for text, a, b in (
        ("One", "Answer in one word.", "Answer in two words."),
        ("Two", "只写数字。", "只写颜色。"),
    ):
        prompt = make_prompt(project, text)
        completions = [Completion.objects.create(prompt=prompt, text=words) for words in (a, b)]
        make_comparison(project, completions=completions)
    page = open_as(bob, RANK)
    marks = page.locator(".instruction-text mark")
    expect(marks).to_have_count(0)
    page.keyboard.press("d")
    assert set(marks.all_inner_texts()) == {"one word", "two words"}
    page.keyboard.press("1")
    expect(page.locator(".task-text")).to_have_text("Two")
    assert set(marks.all_inner_texts()) == {"数字", "颜色"}
    page.keyboard.press("d")
    expect(marks).to_have_count(0)
    expect(page.locator(".instruction-text").first).to_contain_text("只写")


def test_the_legend_lists_the_keys(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keys")).not_to_be_visible()


def test_the_task_is_where_a_screen_reader_goes_on(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.keyboard.press("1")
    expect(page.locator("#task-heading")).to_be_focused()
    assert page.locator("#status").get_attribute("role") == "status"


def test_in_chinese(open_as, bob, pairs):
    page = open_as(bob, RANK, locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("#task-heading")).to_have_text("任务")
    expect(page.get_by_text("差不多")).to_be_visible()
    page.keyboard.press("4")
    expect(status(page)).to_contain_text("差不多")
    page.get_by_role("button", name="Switch to English").click()
    expect(page.locator("#task-heading")).to_have_text("Task")


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
