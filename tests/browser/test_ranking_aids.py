"""What helps while ranking: long texts, the reference, notes, amending, own figures, feedback, speed."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from annotator.models import Completion, Membership, Note, Project, Ranking
from annotator.prompts import images
from annotator.quality import gold
from tests.browser.rank_page import RANK, no_violation, status
from tests.factories import make_comparison, make_image, make_prompt, make_ranking

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def long_pair(project):
    prompt = make_prompt(project, "Say it at length", reference="Do it in one word.")
    texts = ["\n".join(f"{side} line {n}" for n in range(count)) for side, count in (("a", 40), ("b", 80))]
    return make_comparison(
        project, completions=[Completion.objects.create(prompt=prompt, text=text) for text in texts]
    )


def share_scrolled(page: Page, place: int) -> float:
    return (
        page.locator(".instruction-body")
        .nth(place)
        .evaluate("body => body.scrollTop / (body.scrollHeight - body.clientHeight)")
    )


def test_long_texts_scroll_together_and_are_shown_whole_on_a_key(open_as, bob, long_pair):
    page = open_as(bob, RANK)
    bodies = page.locator(".instruction-body")
    expect(bodies.first).to_have_attribute("tabindex", "0")
    expect(page.get_by_role("group", name="Text of instruction A")).to_be_visible()
    bodies.first.focus()
    page.keyboard.press("End")
    # A key scrolls smoothly, so both are on their way for a while.
    page.wait_for_function(
        """() => [...document.querySelectorAll(".instruction-body")].every(
          (body) => body.scrollTop > 0.95 * (body.scrollHeight - body.clientHeight))"""
    )
    assert abs(share_scrolled(page, 0) - share_scrolled(page, 1)) < 0.05
    no_violation(page)
    page.keyboard.press("y")
    expect(page.get_by_role("button", name="Scroll together")).to_have_attribute("aria-pressed", "false")
    bodies.first.evaluate("body => { body.scrollTop = 0 }")
    page.wait_for_timeout(100)
    assert share_scrolled(page, 1) > 0.9
    page.keyboard.press("s")
    expect(page.get_by_role("button", name="Fold").first).to_have_attribute("aria-expanded", "true")
    assert bodies.first.get_attribute("tabindex") is None
    page.reload()
    expect(page.get_by_role("button", name="Fold").first).to_be_visible()
    page.get_by_role("button", name="Fold").first.click()
    expect(bodies.first).to_have_attribute("tabindex", "0")


def test_the_reference_is_folded_beside_the_task_if_the_project_shows_it(open_as, bob, project, long_pair):
    page = open_as(bob, RANK)
    expect(page.get_by_text("Reference, written by a person")).to_have_count(0)
    project.show_reference = True
    project.save()
    page.reload()
    expect(page.get_by_text("Do it in one word.")).to_be_hidden()
    page.get_by_text("Reference, written by a person").click()
    expect(page.get_by_text("Do it in one word.")).to_be_visible()


def test_the_image_stands_beside_the_task_with_its_words(open_as, bob, project, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    prompt = make_prompt(project, "Describe it")
    images.put(prompt, text="A red shape", file=make_image(size=(40, 20)))
    make_comparison(project, prompt)
    page = open_as(bob, RANK)
    image = page.get_by_role("img", name="A red shape")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") == 40
    no_violation(page)


def test_what_is_not_asked_is_not_there(open_as, bob, project, pairs):
    for name in ("ask_tie", "ask_all_bad", "ask_rationale", "ask_improved"):
        setattr(project, name, False)
    project.flags = []
    project.save()
    page = open_as(bob, RANK)
    for words in ("about the same", "All bad", "Why", "Improve", "Flag"):
        expect(page.locator(".rank-foot").get_by_text(words, exact=True)).to_have_count(0)
    for key in "bwef":
        page.keyboard.press(key)
    page.keyboard.press("6")
    expect(status(page)).to_contain_text("B is much better")
    assert Ranking.objects.live().get().verdict == "ranked"


def test_a_note_is_sent_with_its_comparison_and_kept_while_offline(open_as, bob, pairs):
    page = open_as(bob, RANK)
    page.keyboard.press("o")
    page.keyboard.type("The task has two meanings.")
    page.context.set_offline(True)
    page.keyboard.press("Control+Enter")
    expect(status(page)).to_contain_text("The note is kept here")
    page.context.set_offline(False)
    page.reload()
    page.keyboard.press("o")
    expect(page.get_by_label("A note to the managers")).to_have_value("The task has two meanings.")
    no_violation(page)
    page.keyboard.press("Control+Enter")
    expect(status(page)).to_contain_text("The note is sent")
    note = Note.objects.get()
    assert (note.author, note.text, note.comparison) == (bob, "The task has two meanings.", pairs[0])
    assert not Ranking.objects.exists()


def test_an_earlier_judgment_is_changed_from_the_list(open_as, bob, pairs):
    page = open_as(bob, RANK)
    for key in "17":
        page.keyboard.press(key)
        expect(status(page)).to_contain_text("Saved")
    page.keyboard.press("l")
    rows = page.locator(".latest-list > li")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("B is much better")
    no_violation(page)
    rows.nth(1).get_by_role("button").press("Enter")
    expect(page.locator(".task-text")).to_have_text("Task P")
    expect(page.locator("input[value=a3]")).to_be_checked()
    expect(page.locator("#today")).to_contain_text("1 of 3 today")
    page.keyboard.press("5")
    expect(page.locator(".task-text")).to_have_text("Task R")
    expect(status(page)).to_contain_text("B is slightly better")
    assert Ranking.objects.live().get(comparison=pairs[0]).strength == 1


def test_own_figures_are_under_the_count_of_the_day(open_as, bob, project, pairs):
    make_ranking(project, bob, seconds=12.0)
    page = open_as(bob, RANK)
    page.locator("#today").click()
    expect(page.locator(".own-progress")).to_contain_text("12 s")
    expect(page.locator(".own-progress")).not_to_contain_text("Others agree")
    project.show_own_quality = True
    project.save()
    page.locator("#today").click()
    page.locator("#today").click()
    expect(page.locator(".own-progress")).to_contain_text("not known yet")


@pytest.fixture
def qualifying(project, bob):
    """Two gold questions before the real work, both of which the one with the lower id wins."""
    project.qualification_questions = 2
    project.gold_feedback = "qualification"
    project.save()
    for text in ("First", "Second"):
        source = make_comparison(project, make_prompt(project, text))
        ids = sorted(source.completions.values_list("pk", flat=True))
        gold.make(source, ranks={ids[0]: 1, ids[1]: 2}, explanation="It is shorter.")


def test_what_was_expected_is_told_and_the_pause_that_follows(open_as, bob, project, qualifying):
    page = open_as(bob, RANK)
    expect(page.locator(".task-head")).to_contain_text("Qualification: 1 of 2")
    for _ in range(2):
        ids = page.locator("[data-completion]").evaluate_all("nodes => nodes.map(n => n.dataset.completion)")
        page.keyboard.press("7" if int(ids[0]) < int(ids[1]) else "1")  # the wrong one
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("another one was expected")
        expect(dialog).to_contain_text("It is shorter.")
        no_violation(page)
        page.wait_for_timeout(450)
        page.keyboard.press("Enter")
        expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", name="Your part here is paused")).to_be_visible(timeout=15_000)
    expect(page.locator("#paused")).to_contain_text("The qualification round was not passed")
    assert Membership.objects.get(user=bob).pause_kind == "qualification"
    no_violation(page)


def test_ten_in_a_row_are_each_there_within_100_ms_of_a_slow_server(open_as, project, bob):
    Project.objects.update(auto_pause=False)  # whoever judges in one second is too fast
    for number in range(12):
        make_comparison(project, make_prompt(project, f"Task {number}"))
    page = open_as(bob, RANK)

    def slowly(route):
        time.sleep(0.25)  # of each request on its way there …
        answer = route.fetch()
        time.sleep(0.25)  # … and back
        route.fulfill(response=answer)

    page.route("**/rank/next/", slowly)
    page.route("**/rank/submit/", slowly)
    page.evaluate(
        """() => {
            window.took = [];
            let began = null;
            addEventListener("keydown", () => { began = performance.now(); }, { capture: true });
            new MutationObserver(() => {
                if (began !== null) window.took.push(performance.now() - began);
                began = null;
            }).observe(document.getElementById("stage-place"), { childList: true });
        }"""
    )
    for number in range(10):
        page.keyboard.press("1")
        page.wait_for_function("n => window.took.length > n", arg=number)
        page.wait_for_timeout(1100)
    took = page.evaluate("window.took")
    assert len(took) == 10
    assert max(took) < 100
    expect(page.locator("#today")).to_contain_text("10 of 12 today")
