"""A manager brings a file in: chooses steps, looks at the preview, imports it, and undoes it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from annotator.models import Completion, PromptImport, Ranking
from annotator.prompts import aside, importing
from tests.factories import make_zip

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("PREFLOOP_DATA", ROOT.parent / "shared" / "data"))
State = PromptImport.State
TICKETS = [
    {"text": "Write to the cafÃ© at a@example.org", "domain": "writing"},
    {"text": "Is it late?"},
    {"text": "Is it late?"},
    {"text": "请把来信归入一个部门。"},
    {"text": 5},
]
# file: its rows, judgments of each that it brings, rows at most that repeat a pair of texts and its judgments
REAL = {
    "autoj_pairwise.jsonl": (1392, 1, 28),
    "belle_zh_seed_tasks.jsonl": (175, 0, 0),
    "instruction_induction.jsonl": (16, 0, 0),
    "pandalm_votes.jsonl": (999, 3, 136),
    "self_instruct_seed_tasks.jsonl": (175, 0, 0),
    "winogender_templates.tsv": (120, 0, 0),
}


def upload(page: Page, path: Path) -> PromptImport:
    page.locator("#id_file").set_input_files(path)
    page.get_by_role("button", name="Inspect the file").click()
    page.get_by_text("Waiting for a worker").wait_for()
    return PromptImport.objects.latest("pk")


def work(batch: PromptImport) -> None:
    """What the light worker does."""
    importing.run_import(batch.pk)


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in TICKETS))
    return path


@pytest.mark.parametrize("look", [{}, {"phone": True, "dark": True}], ids=["desktop", "phone"])
def test_from_file_to_preview_to_tasks_and_back(open_as, alice, project, tickets, look):
    page = open_as(alice, "/projects/support/import/", **look)
    page.get_by_text("Steps of preparation").click()
    page.get_by_label("Personal data").select_option("mask")
    batch = upload(page, tickets)
    work(batch)
    button = page.get_by_role("button", name="Import 3 tasks")  # the page finds out by itself
    button.wait_for()
    expect(page.get_by_text("Write to the café at [email]").first).to_be_visible()
    page.get_by_text("1 example").first.click()
    expect(page.locator("del", has_text="cafÃ©")).to_be_visible()
    expect(page.get_by_text("Line 5 · text")).to_be_visible()
    assert not project.prompts.exists()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    button.click()
    page.get_by_text("Waiting for a worker").wait_for()
    work(batch)
    page.get_by_text("New tasks").wait_for()
    assert project.prompts.count() == 3

    page.get_by_role("link", name="Undo this import").click()
    page.get_by_text("This takes out of the project").wait_for()
    page.get_by_role("button", name="Undo this import").click()
    page.get_by_text("The import is undone").wait_for()
    assert not project.prompts.exists()
    aside.clear_left(60)


def test_changed_steps_and_another_format_show_another_preview(open_as, alice, project, tickets):
    page = open_as(alice, "/projects/support/import/")
    batch = upload(page, tickets)
    work(batch)
    page.get_by_role("button", name="Import 3 tasks").wait_for()
    page.get_by_text("Change the steps").click()
    page.get_by_label("Only these languages").fill("zh-hans")
    page.get_by_role("button", name="Inspect again").last.click()
    page.get_by_text("Waiting for a worker").wait_for()
    work(batch)
    page.get_by_role("button", name="Import 1 task").wait_for()
    page.get_by_text("It is another format").click()
    page.get_by_label("Format", exact=True).select_option("chat")
    page.get_by_role("button", name="Inspect again").first.click()
    page.get_by_text("Waiting for a worker").wait_for()
    work(batch)
    page.get_by_text("Nothing is left to import").wait_for()
    page.get_by_role("button", name="Do not import").click()
    page.get_by_text("Nothing of the file was stored").first.wait_for()
    assert not project.prompts.exists()


def test_images_are_seen_before_they_are_stored(open_as, alice, project, tmp_path):
    (tmp_path / "signs.zip").write_bytes(make_zip())
    page = open_as(alice, "/projects/support/import/")
    batch = upload(page, tmp_path / "signs.zip")
    work(batch)
    page.get_by_role("button", name="Import 2 tasks").click()
    page.get_by_text("Waiting for a worker").wait_for()
    work(batch)
    page.get_by_role("link", name="Show the tasks").click()
    page.get_by_role("link", name="A sign a").click()
    picture = page.get_by_role("img", name="A sign a")
    picture.wait_for()
    picture.evaluate("image => image.decode()")  # it is there before its pixels are
    assert picture.evaluate("image => image.naturalWidth") == 4


def test_the_report_and_the_rejected_lines_are_taken_away(open_as, alice, project, tickets):
    page = open_as(alice, "/projects/support/import/")
    work(upload(page, tickets))
    page.get_by_role("button", name="Import 3 tasks").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="Rejected lines").click()
    rows = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert [row["line"] for row in rows] == [3, 5]
    with page.expect_download() as download:
        page.get_by_role("link", name="Picture (SVG)").click()
    assert download.value.suggested_filename == "tickets.svg"


@pytest.mark.timeout(600)
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data is not at {DATA}")
@pytest.mark.parametrize("name", REAL)
def test_real_files_come_in_through_the_page(open_as, alice, project, name):
    rows, judgments, repeats = REAL[name]
    page = open_as(alice, "/projects/support/import/")
    batch = upload(page, DATA / name)
    work(batch)
    button = page.get_by_role("button", name=re.compile(r"^Import \d"))
    button.wait_for()
    batch.refresh_from_db()
    report, brings = batch.report, batch.report["brings"]
    assert (report["read"], report["rejected"]) == (rows, 0)
    assert report["kept"] + report["left_out"] == rows
    assert report["kept"] > 0.95 * rows  # what repeats others, or gives a held-out task away
    possible = judgments * report["kept"]
    assert 0.97 * possible <= brings["rankings"] <= possible  # some rows have the same answer twice
    button.click()
    page.get_by_text("Waiting for a worker").wait_for()
    work(batch)
    page.get_by_text("New tasks").wait_for()
    batch.refresh_from_db()
    counts = batch.counts
    assert project.prompts.count() + counts["known"] == counts["prompts"] <= report["kept"]
    assert Completion.objects.count() == counts["completions"] <= brings["completions"]
    assert Ranking.objects.count() == counts["rankings"]
    left_out = counts["rankings_known"] + counts["rankings_unclear"]
    assert counts["rankings"] + left_out == brings["rankings"]
    assert left_out <= judgments * repeats
    assert set(Ranking.objects.values_list("batch", flat=True)) <= {batch.pk}
