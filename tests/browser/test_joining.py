"""From a manager's link to a visitor's first comparison; the pages on the way suit everybody."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_accessibility import violations
from tests.factories import make_comparison, make_guideline

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

PASSWORD = "a-Long-enough-one"


def make_link(page: Page) -> str:
    page.get_by_label("For whom").fill("new people")
    page.get_by_label("Places").fill("2")
    page.get_by_role("button", name="Make a link").click()
    field = page.get_by_label("The link, for 2 people")
    expect(field).to_be_focused()
    return field.input_value()


def test_a_visitor_joins_by_a_managers_link_and_ranks(open_as, project, alice):
    make_comparison(project)
    manager = open_as(alice, "/projects/support/members/")
    manager.context.grant_permissions(["clipboard-read", "clipboard-write"])
    link = make_link(manager)
    manager.get_by_role("button", name="Copy").click()
    expect(manager.get_by_text("Copied.")).to_be_visible()
    assert manager.evaluate("navigator.clipboard.readText()") == link

    visitor = open_as(None, link)
    expect(visitor.get_by_role("heading", name="Support")).to_be_visible()
    visitor.locator("#id_username").fill("erin")
    visitor.locator("#id_password1").fill(PASSWORD)
    visitor.locator("#id_password2").fill(PASSWORD)
    visitor.get_by_role("button", name="Make the account and join").click()
    expect(visitor.locator("#task-heading")).to_be_visible()
    assert project.memberships.get(user__username="erin").role == "annotator"

    manager.reload()
    expect(manager.locator("#invitations")).to_contain_text("1 / 2")
    expect(manager.get_by_label("The link, for 2 people")).to_have_count(0)


def test_who_has_an_account_signs_in_on_the_way(open_as, project, alice, mallory):
    link = make_link(open_as(alice, "/projects/support/members/"))
    page = open_as(None, link)
    page.get_by_text("I have an account").click()
    page.locator("#sign-in-name").fill("mallory")
    page.locator("#sign-in-password").fill("mallory")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Join").click()
    page.wait_for_url("**/projects/support/rank/")
    assert project.memberships.filter(user=mallory).exists()


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}], ids=["light", "dark", "phone"])
def test_no_page_on_the_way_has_a_violation(open_as, project, alice, mallory, settings, look):
    settings.OPEN_SIGN_UP = True
    make_guideline(project, "Prefer the **clear** one.")
    members = open_as(alice, "/projects/support/members/", **look)
    link = make_link(members)
    found = {"members": violations(members)}
    visitor = open_as(None, link, **look)
    for summary in visitor.locator("summary").all():
        summary.click()
    visitor.locator("#id_username").fill("alice")
    visitor.get_by_role("button", name="Make the account and join").click()
    expect(visitor.get_by_text("already exists")).to_be_visible()
    found["refused"] = violations(visitor)
    for path in ("/login/", "/sign-up/", "/join/nothing/"):
        visitor.goto(path)
        found[path] = violations(visitor)
    found["signed in"] = violations(open_as(mallory, link, **look))
    for page in (members, visitor):
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wider) <= 0
    assert {name: lines for name, lines in found.items() if lines} == {}
