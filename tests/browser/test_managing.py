"""A manager decides disagreements by keyboard, makes a gold question, and clears the notes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from annotator.models import GoldAnswer, Note, Ranking
from tests.factories import make_comparison, make_ranking

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def disputed(project, bob, carol):
    """Two pairs and a comparison of three that Bob and Carol see differently; the last is the newest."""
    rows = [make_comparison(project, wanted=2, priority=3 - n, k=k) for n, k in enumerate((2, 2, 3))]
    for person, first in ((bob, 0), (carol, 1)):
        for _ in rows:
            make_ranking(project, person, first=first)
    return rows


def on(page: Page, comparison) -> None:
    expect(page.get_by_role("heading", name=f"Comparison {comparison.pk}")).to_be_visible()
    page.wait_for_load_state("load")  # its keys are there


def test_disagreements_are_worked_off_by_keyboard(open_as, alice, disputed):
    page = open_as(alice, "/projects/support/comparisons/?state=disagreement")
    pair, other_pair, of_three = disputed
    # All of the first pair contradicts, of the three texts one pair of three: pairs come first.
    page.get_by_role("link", name=str(other_pair.pk), exact=True).focus()
    page.keyboard.press("Enter")
    on(page, other_pair)
    page.keyboard.press("n")
    on(page, pair)

    # Refused, and told at the field, where one goes on writing.
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    page.wait_for_url("**/adjudicate/*")
    expect(page.get_by_text("Say why it cannot be judged.")).to_be_visible()
    reason = page.get_by_label(re.compile("^Why it cannot be judged"))
    expect(reason).to_be_focused()
    expect(page.get_by_role("radio", name="Cannot judge").first).to_be_checked()
    page.keyboard.type("n1 bx")  # letters of keys, but written
    expect(reason).to_have_value("n1 bx")
    page.keyboard.press("Enter")

    # The next one, by the strength's key.
    on(page, of_three)
    page.keyboard.press("n")
    on(page, other_pair)
    page.keyboard.press("6")
    expect(page.get_by_role("radio", name=re.compile("^2 is better")).first).to_be_checked()
    page.keyboard.press("Enter")

    on(page, of_three)
    for number, place in enumerate("213", start=1):
        page.locator("#decision-form").get_by_label(f"Place of instruction {number}").focus()
        page.keyboard.press(place)
    page.keyboard.press("Tab")
    page.keyboard.type("b")  # written into a field, not pressed
    page.get_by_role("button", name="Save the decision").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("There is no other disagreement.")).to_be_visible()

    decisions = Ranking.objects.filter(is_adjudication=True).order_by("pk")
    assert [(row.comparison_id, row.verdict) for row in decisions] == [
        (pair.pk, "cannot_judge"),
        (other_pair.pk, "ranked"),
        (of_three.pk, "ranked"),
    ]
    assert decisions[0].reason == "n1 bx"
    assert decisions[1].strength == 2
    assert sorted(decisions[2].ranks.values()) == [1, 2, 3]


def test_a_gold_question_is_made(open_as, project, alice, disputed):
    page = open_as(alice, "/projects/support/quality/gold/")
    expect(page.get_by_role("heading", name="No gold questions yet")).to_be_visible()
    page.get_by_role("link", name="Choose a comparison").click()
    page.get_by_role("link", name=str(disputed[0].pk), exact=True).click()
    page.get_by_text("Make this a gold question").click()
    form = page.locator("#gold-form")
    form.get_by_label("2 is better").check()
    form.get_by_label(re.compile("^Why this is right")).fill("It names the form.")
    form.get_by_role("button", name="Make the gold question").click()
    expect(page.get_by_text("Made a gold question")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text=disputed[0].prompt.text)).to_have_count(1)
    page.get_by_role("button", name="Retire").click()
    expect(page.get_by_text("retired", exact=True)).to_be_visible()
    assert GoldAnswer.objects.get().explanation == "It names the form."


def test_a_note_is_marked_as_done(open_as, project, alice, bob, disputed):
    Note.objects.create(project=project, author=bob, comparison=disputed[0], text="两条指令一样。")
    page = open_as(alice, "/projects/support/")
    page.get_by_role("link", name="Notes (1)").click()
    expect(page.get_by_text("两条指令一样。")).to_be_visible()
    page.get_by_role("button", name="Mark as done").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Open again")).to_be_visible()
    expect(page.get_by_role("link", name="Notes", exact=True)).to_be_visible()
    page.get_by_role("link", name=f"Comparison {disputed[0].pk}").click()
    on(page, disputed[0])
