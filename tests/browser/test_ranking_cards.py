"""People rank three and more, or choose the best and the worst: by keyboard, mouse and finger."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.rank_page import RANK, letters_of, status, stored, wider_than_the_window

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]


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


def test_four_on_a_phone(open_as, bob, four):
    page = open_as(bob, RANK, phone=True)
    assert wider_than_the_window(page) <= 0
    for letter, place in zip("ABCD", "1234", strict=True):
        page.locator(f'[data-letter="{letter}"] .place', has_text=place).tap()
    page.get_by_role("button", name="Submit").tap()
    expect(status(page)).to_contain_text("A > B > C > D")


def drag_by_finger(page: Page, what: Locator, where: Locator) -> None:
    """Put a finger on it, move in small steps, let go: as Chromium hears it from a touch screen."""
    start, end = what.bounding_box(), where.bounding_box()
    x, y = start["x"] + start["width"] / 2, start["y"] + start["height"] / 2
    to_x, to_y = end["x"] + min(20, end["width"] / 2), end["y"] + end["height"] / 2
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        given = [{"x": x, "y": y} for x, y in points]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": given})

    touch("touchStart", (x, y))
    for step in range(1, 9):
        touch("touchMove", (x + (to_x - x) * step / 8, y + (to_y - y) * step / 8))
        page.wait_for_timeout(20)
    touch("touchEnd")


def test_four_are_ranked_by_dragging_with_a_finger(open_as, bob, four):
    page = open_as(bob, RANK, phone=True)
    for letter, lane in (("D", 1), ("A", 2), ("B", 2), ("C", 4)):
        chip = page.locator(".lane-tray .chip", has_text=letter)
        drag_by_finger(page, chip, page.locator(f'[data-lane="{lane}"]'))
        expect(page.locator(f'[data-lane="{lane}"]')).to_contain_text(letter)
    assert page.evaluate("scrollY") == 0  # the finger moved the chip, not the page
    drag_by_finger(page, page.locator(".chip", has_text="B"), page.locator('[data-lane="3"]'))
    expect(page.locator('[data-lane="3"]')).to_contain_text("B")
    page.get_by_role("button", name="Submit").tap()
    expect(status(page)).to_contain_text("D > A > B > C")
    assert letters_of(stored(1)[0]) == {"A": 2, "B": 3, "C": 4, "D": 1}


def test_best_and_worst_by_dragging(open_as, bob, project, four):
    project.response_format = "best_worst"
    project.save()
    page = open_as(bob, RANK)
    for letter, lane in (("A", "best"), ("C", "worst"), ("D", "best")):  # D takes A's place
        chip = page.locator(".lane-tray .chip", has_text=letter)
        chip.drag_to(page.locator(f'[data-lane="{lane}"]'))
    expect(page.locator(".lane-tray .chip")).to_have_text(["B", "A"])
    page.get_by_role("button", name="Submit").click()
    expect(status(page)).to_contain_text("D > A = B > C")
