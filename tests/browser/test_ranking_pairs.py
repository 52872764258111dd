"""People compare two in a real browser: by keyboard and mouse, and say all that can be said."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from annotator.models import Assignment, Completion, Project, Ranking
from rlhf.models import Checkpoint, Generation, Run
from tests.browser.rank_page import RANK, letters_of, status, stored
from tests.factories import make_comparison, make_prompt

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


SAID = {
    "1": ("A is much better", {"A": 1, "B": 2}, 3),
    "2": ("A is better", {"A": 1, "B": 2}, 2),
    "3": ("A is slightly better", {"A": 1, "B": 2}, 1),
    "4": ("about the same", {"A": 1, "B": 1}, None),
    "5": ("B is slightly better", {"A": 2, "B": 1}, 1),
    "6": ("B is better", {"A": 2, "B": 1}, 2),
    "7": ("B is much better", {"A": 2, "B": 1}, 3),
}


def test_every_strength_has_its_key(open_as, bob, project):
    for key in SAID:
        make_comparison(project, make_prompt(project, f"Task {key}"))
    page = open_as(bob, RANK)
    for key, (said, _, _) in SAID.items():
        page.keyboard.press(key)
        expect(status(page)).to_have_text(f"Saved: {said}.")
    given = [(letters_of(ranking), ranking.strength) for ranking in stored(7)]
    assert given == [(ranks, strength) for _, ranks, strength in SAID.values()]


def test_without_strength_the_keys_are_one_two_and_nought(open_as, bob, project, pairs):
    project.strength_scale = False
    project.save()
    page = open_as(bob, RANK)
    for key, said in (("1", "A is better"), ("0", "about the same"), ("2", "B is better")):
        page.keyboard.press(key)
        expect(status(page)).to_have_text(f"Saved: {said}.")
    given = [(letters_of(ranking), ranking.strength) for ranking in stored(3)]
    assert given == [({"A": 1, "B": 2}, None), ({"A": 1, "B": 1}, None), ({"A": 2, "B": 1}, None)]


def test_all_that_can_be_said_is_stored_as_it_was_said(open_as, bob, project, pairs):
    project.attribute_scales = ["clarity", "brevity"]
    project.save()
    page = open_as(bob, RANK)
    page.keyboard.press("f")
    for label in ("A: harmful", "A: personal data", "B: wrong language"):
        page.get_by_label(label).check()
    page.keyboard.press("Escape")
    rated = {"clarity, A": "1", "clarity, B": "5", "brevity, A": "3", "brevity, B": "2"}
    for name, value in rated.items():
        page.get_by_role("group", name=name).locator(".place", has_text=value).click()
    page.keyboard.press("w")
    page.keyboard.type("It names a <person> & more.")
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.get_by_label("Write a better version").fill("Write one word.\nNothing else.")
    page.keyboard.press("Escape")
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    expect(status(page)).to_contain_text("Saved")
    [ranking] = stored(1)
    a, b = map(str, ranking.order)
    assert ranking.verdict == "ranked"
    assert (letters_of(ranking), ranking.strength) == ({"A": 2, "B": 1}, 1)
    assert {one: set(flags) for one, flags in ranking.flags.items()} == {
        a: {"harmful", "personal data"},
        b: {"wrong language"},
    }
    assert ranking.ratings == {a: {"clarity": 1, "brevity": 3}, b: {"clarity": 5, "brevity": 2}}
    assert ranking.rationale == "It names a <person> & more."
    assert ranking.improved_text == "Write one word.\nNothing else."
    assert ranking.seconds > 0


def test_all_bad_and_cannot_judge_are_stored_without_an_order(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.keyboard.press("b")
    expect(status(page)).to_have_text("Saved: all bad.")
    page.keyboard.press("x")
    page.get_by_label("I know too little about this subject").check()
    page.get_by_role("button", name="Can't be judged").click()
    expect(status(page)).to_have_text("Saved: cannot be judged.")
    bad, cannot = stored(2)
    assert (bad.verdict, bad.ranks, bad.strength, bad.reason) == ("all_bad", {}, None, "")
    assert (cannot.verdict, cannot.ranks) == ("cannot_judge", {})
    assert cannot.reason == "I know too little about this subject"


def test_each_annotator_has_an_order_of_their_own_and_it_is_stored(open_as, bob, carol, project):
    Project.objects.update(auto_pause=False)  # ten judgments in two seconds are too fast for a person
    for number in range(10):
        make_comparison(project, make_prompt(project, f"Task {number}"), wanted=2)
    orders = {}
    for person in (bob, carol):
        page = open_as(person, RANK)
        shown = []
        for count in range(1, 11):
            texts = page.locator(".instruction-text").all_inner_texts()
            page.keyboard.press("1")
            expect(page.locator("#today")).to_contain_text(f"{count} of 10 today")
            expect(status(page)).to_contain_text("Saved")
            shown.append(texts)
        rankings = Ranking.objects.filter(annotator=person).order_by("pk")
        texts_of = Completion.objects.in_bulk([pk for ranking in rankings for pk in ranking.order])
        assert [[texts_of[pk].text for pk in ranking.order] for ranking in rankings] == shown
        orders[person] = {ranking.comparison_id: ranking.order for ranking in rankings}
    assert orders[bob].keys() == orders[carol].keys()
    assert orders[bob] != orders[carol]  # equal by chance once in a thousand times


def test_nothing_on_the_page_says_who_or_what_wrote_a_text(open_as, bob, project, pairs):
    for number, completion in enumerate(Completion.objects.all()):
        run = Run.objects.create(project=project, kind="generate", state=Run.State.DONE)
        checkpoint = Checkpoint.objects.create(
            project=project, kind="policy", name=f"zephyr-policy-{number}", base_model=f"base-{number}"
        )
        Generation.objects.create(
            completion=completion,
            run=run,
            checkpoint=checkpoint,
            sampling={"seed": 471147},
            logprob=-1.25,
            tokens=5,
            finished=True,
        )
    page = open_as(bob, RANK)
    answers = []
    page.on("response", lambda response: answers.append(response) if "/rank/" in response.url else None)
    page.reload()
    page.wait_for_load_state("networkidle")
    seen = [answer.text() for answer in answers if answer.request.resource_type in ("document", "fetch")]
    assert len(seen) == 2  # the page, and the one fetched ahead
    for text in [*seen, page.content()]:
        for secret in ("zephyr", "471147", "base-", "-1.25", "checkpoint", "iteration"):
            assert secret not in text.lower()
