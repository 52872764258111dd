"""People rank three and more, or choose the best and the worst: by keyboard, mouse and finger."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

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
