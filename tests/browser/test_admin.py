"""The admin in a browser: no script that its rules forbid, walked by keyboard, no violation."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.factories import make_comparison, make_ranking, make_user

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

PAGES = [
    "/admin/",
    "/admin/annotator/ranking/",
    "/admin/annotator/comparison/1/change/",
    "/admin/annotator/project/1/change/",
    "/admin/annotator/auditentry/",
    "/admin/rlhf/run/",
]


@pytest.fixture
def root(project, bob):
    make_comparison(project)
    make_ranking(project, bob)
    return make_user("root", is_staff=True, is_superuser=True)


def violations(page):
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{one['id']}: {node['html'][:160]}" for one in found.response["violations"] for node in one["nodes"]
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_its_pages_have_no_violation(open_as, root, project, dark):
    page = open_as(root, "/admin/", dark=dark)
    found = {}
    for path in PAGES:
        path = path.replace("/project/1/", f"/project/{project.pk}/")
        path = path.replace("/comparison/1/", f"/comparison/{project.comparisons.get().pk}/")
        page.goto(path)
        page.wait_for_load_state("networkidle")
        found[path] = violations(page)
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_an_action_by_keyboard_alone(open_as, root, project):
    comparison = make_comparison(project)
    page = open_as(root, "/admin/annotator/comparison/")
    page.locator("input.action-select").first.focus()
    page.keyboard.press("Space")
    page.locator("select[name=action]").focus()
    page.keyboard.press("ArrowDown")  # Take out of the queue
    page.get_by_role("button", name="Run").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Take out of the queue: 1 done.").wait_for()
    comparison.refresh_from_db()
    assert comparison.is_closed


def test_the_filters_open_by_keyboard(open_as, root, project):
    page = open_as(root, "/admin/annotator/ranking/")
    page.get_by_role("button", name="Filters").focus()
    page.keyboard.press("Enter")
    page.get_by_text("By verdict").wait_for()


def test_focus_is_always_to_be_seen(open_as, root):
    page = open_as(root, "/admin/")
    for _ in range(12):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML")


def test_the_colours_chosen_on_the_pages_count_here(open_as, root):
    page = open_as(root, "/")
    page.locator("#theme-switch").click()
    page.locator("#theme-switch").click()
    page.goto("/admin/")
    assert page.locator("html").get_attribute("class") == "dark"
