"""A researcher chooses, sees the count change, makes an export and downloads it; an annotator withdraws."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from annotator import consent
from annotator.exports import jobs
from annotator.exports.recipe import Recipe
from annotator.models import Export, Withdrawal
from tests.browser.test_accessibility import violations
from tests.factories import make_comparison, make_prompt, make_ranking

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]
LOOKS = pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}], ids=["light", "dark", "phone"])


@pytest.fixture
def judged(project, bob, settings, tmp_path):
    """Three pairs that bob judged, one in Chinese."""
    settings.EXPORTS_DIR = tmp_path / "exports"
    settings.EXPORT_KEEP_FREE_BYTES = 0
    for language in ("en", "en", "zh-hans"):
        make_comparison(project, make_prompt(project, language=language))
    for _ in range(3):
        make_ranking(project, bob)
    return project


def test_from_choosing_to_the_file(open_as, judged, dana):
    page = open_as(dana, "/projects/support/exports/")
    counted = page.locator("#counted")
    lines = counted.locator("dd").first
    expect(lines).to_have_text("3")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Simplified Chinese").check()
    expect(lines).to_have_text("1")
    page.get_by_label(re.compile("^Raw judgments")).check()
    expect(counted.get_by_text('"verdict": "ranked"')).to_be_visible()
    page.get_by_label("From iteration").fill("7")
    expect(counted.get_by_text("Nothing passes these filters.")).to_be_visible()
    page.get_by_label("From iteration").fill("")
    expect(lines).to_have_text("1")
    page.get_by_label("Name", exact=True).fill("Chinese only")
    page.get_by_role("button", name="Make the export").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    export = Export.objects.get()
    jobs.run(export.pk)
    # The page looks by itself.
    expect(page.get_by_role("heading", name="Files")).to_be_visible()
    export.refresh_from_db()
    file = next(one for one in export.files if one.get("split"))
    with page.expect_download() as download:
        page.get_by_role("link", name=f"Download {file['name']}").click()
    assert download.value.suggested_filename == export.saved_as(file["name"])
    data = Path(download.value.path()).read_bytes()
    assert hashlib.sha256(data).hexdigest() == file["sha256"]
    page.get_by_role("button", name="Copy", exact=True).first.click()
    expect(page.get_by_text(re.compile("Copied|Ctrl-C")).first).to_be_visible()
    page.get_by_role("button", name="Make it again").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    jobs.run(Export.objects.first().pk)
    expect(page.get_by_text(f"Same as before: byte for byte what #{export.pk} was.")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Really delete?").click()
    expect(page.get_by_text("and its files are deleted")).to_be_visible()
    assert Export.objects.count() == 1


def test_at_once_twice_and_the_page_stays(open_as, judged, dana):
    page = open_as(dana, "/projects/support/exports/")
    for _ in range(2):
        with page.expect_download() as download:
            page.get_by_role("button", name="Download at once").click()
        assert download.value.suggested_filename == "support-trl.jsonl"
        rows = Path(download.value.path()).read_text().splitlines()
        assert len(rows) == 3 and json.loads(rows[0])["chosen"]
    assert not Export.objects.exists()


def test_an_annotator_withdraws_and_takes_it_back(open_as, judged, bob):
    page = open_as(bob, "/projects/support/")
    page.get_by_role("link", name="What is done with them, and how to withdraw").click()
    page.get_by_role("button", name="Withdraw my judgments").click()
    assert not Withdrawal.objects.exists()  # the first press only asks
    page.get_by_role("button", name="Really withdraw?").click()
    expect(page.get_by_text("From now on nothing that leaves “Support”")).to_be_visible()
    assert Withdrawal.objects.get().taken_back_at is None
    page.get_by_role("button", name="Let them be used again").click()
    expect(page.get_by_text("may be used again.", exact=False).first).to_be_visible()
    assert Withdrawal.objects.get().taken_back_at is not None


@LOOKS
def test_the_pages_have_no_violation_in_any_state(open_as, judged, alice, bob, look):
    paths = ["/account/judgments/"]
    for state in ("done", "queued", "running", "failed", "cancelled"):
        export = jobs.create(project=judged, recipe=Recipe("trl"), user=alice, name=state, send_it=False)
        if state == "done":
            jobs.run(export.pk)
            jobs.run(jobs.repeat(export, alice, send_it=False).pk)
        else:
            Export.objects.filter(pk=export.pk).update(state=state, read=1, of=3, error="It failed.")
        paths.append(export.get_absolute_url())
    consent.withdraw(bob, judged)
    earlier = Export.objects.filter(name="done").last()
    later = jobs.repeat(earlier, alice, send_it=False)
    jobs.run(later.pk)  # fails: nothing is left
    paths += [later.get_absolute_url(), "/projects/support/exports/", "/projects/support/members/"]
    member = judged.memberships.get(user=bob)
    paths.append(f"/projects/support/members/{member.pk}/")
    page = open_as(alice, **look)
    found = {}
    for path in paths:
        page.goto(path)
        page.wait_for_load_state("load")
        found[path] = violations(page)
    page.goto("/projects/support/exports/")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_text("Splits and files", exact=True).click()
    found["open"] = violations(page)
    assert {path: lines for path, lines in found.items() if lines} == {}
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width == 0
