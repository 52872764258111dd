"""axe-core finds nothing wrong on any page, light or dark, desktop or phone."""

from __future__ import annotations

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from annotator.models import Note, Role
from annotator.prompts import images, importing
from annotator.quality import gold
from annotator.ranking.adjudication import adjudicate
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import undo
from rlhf import promotion, runs
from rlhf.models import Checkpoint, Evaluation, Run
from tests.factories import (
    make_comparison,
    make_guideline,
    make_image,
    make_import,
    make_member,
    make_project,
    make_prompt,
    make_ranking,
    make_user,
    make_zip,
)
from tests.reward_runs import make_rankings, make_reward

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True)]

PAGES = [
    "/",
    "/projects/new/",
    "/account/",
    "/account/judgments/",
    "/account/password/",
    "/join/nowhere/",
    *(
        f"/projects/support/{name}"
        for name in (
            "",
            "rank/",
            "guidelines/",
            "prompts/",
            "prompts/{prompt}/",
            "import/",
            "import/{batch}/",
            "import/{inspected}/",
            "import/{pictures}/",
            "import/{imported}/",
            "import/{imported}/undo/",
            "import/{waiting}/",
            "comparisons/",
            "comparisons/?state=disagreement",
            "comparisons/?state=closed",
            "comparisons/{comparison}/",
            "comparisons/{disputed}/",
            "comparisons/{decided}/",
            "comparisons/{gold}/",
            "members/",
            "members/{member}/",
            "members/{paused}/",
            "notes/",
            "quality/",
            "quality/annotators/",
            "quality/gold/",
            "exports/",
            "settings/",
            "runs/",
            "runs/start/generation/",
            "models/",
            "runs/{reward}/",
            "runs/{evaluation}/",
            "models/{unevaluated}/promote/",
        )
    ),
    "/projects/ranking/rank/",
    "/projects/ranking/comparisons/{of_four}/",
    "/projects/ranking/notes/",
    "/projects/ranking/quality/gold/",
    "/nowhere/",
]


@pytest.fixture
def numbers(project, alice, bob, carol):
    """A project with something on every page, and one that ranks four; alice has a role in both."""
    make_guideline(
        project, "Prefer **clear** ones.\n\n1. First\n2. Second\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    )
    prompt = make_prompt(
        project,
        examples=[{"input": f"in {n}", "output": "out"} for n in range(9)],
        held_out_examples=[{"input": "in", "output": "out"}],
        reference="Do it.",
    )
    images.put(prompt, text="A red field", file=make_image())
    comparison = make_comparison(project, prompt, wanted=3, priority=1)
    make_ranking(project, bob, rationale="Clear.", strength=2)
    machine = make_member(project, Role.ANNOTATOR, make_user("machine", is_simulated=True))
    make_ranking(project, machine)
    make_comparison(project, make_prompt(project, "整理包裹", language="zh-hans"))
    project.memberships.filter(user=carol).update(
        pause_reason="Asked for a break.", paused_at=prompt.created_at
    )
    batch = make_import(project, "%PDF-1.7", name="scan.pdf")
    votes = {"instruction": "Q", "input": "", "response1": "A", "response2": "B", "annotator1": 1}
    dirty = [votes, {"instruction": "The cafÃ© of a@example.org"}, {"instruction": 5}]
    inspected = make_import(project, "\n".join(map(json.dumps, dirty)), name="votes.jsonl")
    pictures = make_import(project, make_zip(), name="signs.zip")
    imported = importing.import_now(make_import(project, "Do it.\tP\nDo that.\tP\n"))
    for one in (batch, inspected, pictures):
        importing.run_import(one.pk)
    waiting = make_import(project, name="waiting.tsv")
    ranking = make_project("ranking", response_format="ranking", completions_per_comparison=4)
    make_member(ranking, Role.MANAGER, alice)
    of_four = make_comparison(ranking)
    disputed, decided = judged_by_managers(project, alice, bob, machine)
    first, second = disputed.completions.all()
    question = gold.make(disputed, ranks={first.pk: 1, second.pk: 2}, explanation="It is clear.")
    for done_at in (None, prompt.created_at):
        Note.objects.create(project=project, author=bob, text="Unclear.", comparison=decided, done_at=done_at)
    members = dict(project.memberships.values_list("user__username", "pk"))
    return {
        "reward": rewarded(project, bob, machine).run_id,
        "evaluation": evaluated(project, alice).run_id,
        "unevaluated": make_policy(project, "dpo 2").pk,
        "member": members["bob"],
        "paused": members["carol"],
        "prompt": prompt.pk,
        "comparison": comparison.pk,
        "of_four": of_four.pk,
        "disputed": disputed.pk,
        "decided": decided.pk,
        "gold": question.comparison_id,
        "batch": batch.pk,
        "inspected": inspected.pk,
        "pictures": pictures.pk,
        "imported": imported.pk,
        "waiting": waiting.pk,
    }


def rewarded(project, *annotators):
    """A reward model with a report of every part, of rankings of their own tasks."""
    project.comparisons.update(is_closed=True)
    make_rankings(project, *annotators)
    project.comparisons.update(is_closed=False)
    return make_reward(project)


def evaluated(project, alice):
    """An evaluation with win rates, of a generator that was then promoted."""
    share = {"value": 0.6, "low": 0.5, "high": 0.7}
    won = {"rate": share, "controlled": share, "matches": 8, "tasks": 2}
    rows = [{"task_id": "1", "old": 0.4, "new": 0.5, "gold_wins": 0.75, "reward_wins": 1.0}]
    new, run = (
        make_policy(project, "rloo 1"),
        Run.objects.create(project=project, kind="evaluation", state="done"),
    )
    result = {"gold": {"difference": share}, "wins": {"gold": won, "reward": won}, "tasks": rows}
    found = Evaluation.objects.create(run=run, old=runs.base_policy(project), new=new, result=result)
    promotion.promote(new, user=alice, seen=found.pk)
    return found


def make_policy(project, name):
    run = Run.objects.create(project=project, kind="policy", state="done")
    return Checkpoint.objects.create(
        project=project, kind="policy", name=name, base_model=project.base_model, run=run
    )


def judged_by_managers(project, alice, bob, machine):
    """Two comparisons that Bob and the machine see differently, of which Alice has decided the second."""
    project.attribute_scales = ["clarity"]
    project.save()
    rows = [make_comparison(project, wanted=2, priority=5) for _ in range(2)]
    for person, first in ((bob, 0), (machine, 1)):
        for row in rows:
            ids = sorted(row.slots.values_list("completion", flat=True))
            flags, ratings = {ids[0]: ["biased"]}, {ids[1]: {"clarity": 4}}
            said = {
                "flags": flags,
                "ratings": ratings,
                "improved_text": f"Better, says {person}.",
                "seconds": 9.0,
            }
            make_ranking(project, person, first=first, **said)
    undo(annotator=bob, ranking=rows[0].rankings.get(annotator=bob), idempotency_key="undo")
    make_ranking(project, bob, first=0)
    judgment = Judgment(verdict="all_bad", rationale="Neither names the form.")
    adjudicate(comparison=rows[1], manager=alice, judgment=judgment, idempotency_key="decision")
    return rows


def violations(page: Page) -> list[str]:
    # Behind a transition a colour is half-way; the pages ask for none here (reduced motion).
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found.response["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}], ids=["light", "dark", "phone"])
def test_no_page_has_a_violation(open_as, alice, numbers, look):
    page = open_as(alice, **look)
    found = {}
    for path in PAGES:
        url = path.format(**numbers)
        page.goto(url)
        page.wait_for_load_state("load")
        found[url] = violations(page)
        read = page.locator("[data-act=guidelines-read]")
        if read.count() and read.is_visible():
            read.click()
            found[f"{url} (guidelines read)"] = violations(page)
    assert {url: lines for url, lines in found.items() if lines} == {}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_ranking_page_has_none_in_any_state(open_as, alice, numbers, dark):
    page = open_as(alice, "/projects/support/rank/", dark=dark)
    page.keyboard.press("Enter")  # the guidelines are read
    found = {}
    for key in ("f", "w", "e", "x", "?", "g"):
        page.keyboard.press(key)
        found[key] = violations(page)
        page.keyboard.press("Escape")
    page.keyboard.press("w")
    page.keyboard.type("so")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    found["chosen"] = violations(page)
    page.goto("/projects/ranking/rank/")
    page.wait_for_load_state("networkidle")
    for key in "a1b":
        page.keyboard.press(key)
    found["ranking"] = violations(page)
    assert {state: lines for state, lines in found.items() if lines} == {}


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}], ids=["light", "dark", "phone"])
def test_refused_decisions_and_gold_answers_have_none(open_as, alice, numbers, look):
    found = {}
    page = open_as(alice, f"/projects/support/comparisons/{numbers['disputed']}/", **look)
    page.get_by_role("button", name="Save the decision").click()
    page.get_by_text("Choose one.").wait_for()
    found["decision"] = violations(page)
    page.goto(f"/projects/support/comparisons/{numbers['disputed']}/")
    page.get_by_text("Make this a gold question").click()
    page.get_by_role("button", name="Make the gold question").click()
    page.get_by_text("These instructions are a gold question already.").wait_for()
    found["gold"] = violations(page)
    assert {state: lines for state, lines in found.items() if lines} == {}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_signing_in_has_none(open_as, bob, dark):
    page = open_as(None, "/login/", dark=dark)
    assert violations(page) == []
    page.get_by_label("User name").fill("bob")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert violations(page) == []


def test_the_whole_page_can_be_walked_by_tab(open_as, alice, numbers):
    """The skip link comes first, and focus is always to be seen."""
    page = open_as(alice, "/projects/support/prompts/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    for _ in range(12):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML")


def test_the_colours_can_be_chosen_and_stay(open_as, alice, numbers):
    page = open_as(alice)
    switch = page.locator("#theme-switch")
    switch.click()
    assert page.locator("html").get_attribute("data-theme") == "light"
    switch.click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    assert switch.get_attribute("aria-label") == "Colours: dark"
    page.locator("#theme-switch").click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") is None


@pytest.mark.parametrize("look", [{}, {"dark": True}, {"phone": True}], ids=["light", "dark", "phone"])
def test_the_preview_unfolded_has_none(open_as, alice, numbers, look):
    page = open_as(alice, f"/projects/support/import/{numbers['inspected']}/", **look)
    for fold in page.locator("details.fold > summary").all():
        fold.click()
    assert violations(page) == []
    page.goto("/projects/support/import/")
    page.get_by_text("Steps of preparation").click()
    assert violations(page) == []
