"""The ranking page on every screen: phones, large print, long words, languages, screen readers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from annotator.models import Completion, Ranking, Role
from tests.browser.rank_page import RANK, no_violation, status, stored, wider_than_the_window
from tests.factories import make_comparison, make_guideline, make_member, make_prompt

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]


def test_on_a_phone_everything_fits_and_answers_to_a_finger(open_as, bob, pairs):
    page = open_as(bob, RANK, phone=True)
    assert wider_than_the_window(page) <= 0
    scale = page.locator(".scale").bounding_box()
    assert scale["y"] + scale["height"] < 844
    page.locator(".scale-option", has_text="much better").first.tap()
    expect(status(page)).to_contain_text("A is much better")
    stored(1)


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("form", ["pairwise", "ranking", "best_worst"])
def test_at_twice_the_size_nothing_scrolls_sideways(open_as, bob, project, form, locale):
    if form != "pairwise":
        project.response_format, project.completions_per_comparison = form, 4
    project.attribute_scales = ["clarity", "correctness"]
    project.save()
    prompt = make_prompt(project, "Say it at length")
    texts = ["\n".join(f"{n} of {count}" for n in range(count)) for count in (40, 60, 2, 3)]
    made = [Completion.objects.create(prompt=prompt, text=text) for text in texts]
    make_comparison(project, completions=made[: project.completions_per_comparison])
    page = open_as(bob, RANK, locale=locale)
    for key in (
        "x",
        "Escape",
        "f" if form == "pairwise" else "m",
        "Escape",
        "l",
        "Escape",
        "o",
        "Escape",
        "?",
    ):
        page.keyboard.press(key)
        for size in ({"width": 683, "height": 384}, {"width": 320, "height": 600}):  # 200 % and 400 %
            page.set_viewport_size(size)
            assert wider_than_the_window(page) <= 0, (key, size)


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


def test_nine_cards_fit_on_a_phone(open_as, project, bob):
    project.response_format, project.completions_per_comparison = "ranking", 9
    project.save()
    make_comparison(project, k=9)
    page = open_as(make_member(project, Role.ANNOTATOR), RANK, phone=True)
    assert wider_than_the_window(page) <= 0
    card, last = (page.locator(what).first.bounding_box() for what in (".instruction", ".place:last-of-type"))
    assert last["x"] + last["width"] <= card["x"] + card["width"]
    no_violation(page)


@pytest.mark.parametrize("motion", [True, False])
def test_nothing_moves_for_who_wants_no_motion(open_as, bob, project, motion):
    project.response_format, project.completions_per_comparison = "ranking", 3
    project.save()
    make_comparison(project, k=3)
    page = open_as(bob, RANK, motion=motion)
    moving = page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((node) => {
            const style = getComputedStyle(node);
            const seconds = (text) => Math.max(...text.split(",").map(parseFloat));
            return seconds(style.transitionDuration) > 0 || style.animationName !== "none";
        }).length"""
    )
    sliding = page.evaluate("Sortable.get(document.querySelector('[data-lane]')).option('animation')")
    assert (moving > 0, sliding > 0) == (motion, motion)


def test_the_language_chosen_by_the_switch_stays(open_as, bob, pairs):
    page = open_as(bob, RANK, locale="en-GB")
    expect(page.locator("#task-heading")).to_have_text("Task")
    page.get_by_role("button", name="切换到简体中文").click()
    expect(page.locator("#task-heading")).to_have_text("任务")
    page.keyboard.press("1")
    expect(status(page)).to_contain_text("A")
    expect(status(page)).not_to_contain_text("Saved")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    stored(1)
