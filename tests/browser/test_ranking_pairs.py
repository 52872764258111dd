"""People compare two in a real browser: by keyboard and mouse, and say all that can be said."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from annotator.models import Assignment, Completion, Ranking
from tests.browser.rank_page import RANK, letters_of, status, stored

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]


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


def test_the_legend_lists_the_keys(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keys")).not_to_be_visible()
