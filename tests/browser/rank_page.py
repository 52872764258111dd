"""What the browser tests of the ranking page share: where things are, and what has been stored."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

from annotator.models import Ranking

RANK = "/projects/support/rank/"


def status(page: Page) -> Locator:
    """The line that says what happened, to screen readers too."""
    return page.locator("#status")


def stored(count: int) -> list[Ranking]:
    """The live judgments, of which there are so many."""
    rows = list(Ranking.objects.live().order_by("pk"))
    assert len(rows) == count
    return rows


def letters_of(ranking: Ranking) -> dict[str, int]:
    """The ranks by the letters under which the texts were shown."""
    return {letter: ranking.ranks[str(pk)] for letter, pk in zip("ABCDEFGHI", ranking.order, strict=False)}


def wider_than_the_window(page: Page) -> int:
    """By how many pixels the page would scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def no_violation(page: Page) -> None:
    """axe-core finds nothing to complain about."""
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
