"""Projects, tasks, comparisons and exports over the API."""

import json

import pytest

from annotator.models import Comparison
from tests.factories import make_comparison, make_completions, make_prompt, make_ranking

pytestmark = pytest.mark.django_db


@pytest.fixture
def get(client, dana):
    client.force_login(dana)
    return lambda path: client.get(f"/api/projects/{path}")


def test_my_projects(get, project):
    (listed,) = get("").json()["results"]
    assert listed["slug"] == "support"
    assert listed == get("support/").json()


def test_tasks_by_page_and_filter(get, project):
    project.held_out_share = 0
    project.save()
    for number in range(5):
        make_prompt(project, f"t{number}", domain="code" if number % 2 else "writing", language="en")
    first = get("support/prompts/?page_size=2").json()
    assert [row["text"] for row in first["results"]] == ["t0", "t1"]
    second = get(first["next"].split("/api/projects/")[1]).json()
    assert [row["text"] for row in second["results"]] == ["t2", "t3"]
    assert [row["text"] for row in get("support/prompts/?domain=code").json()["results"]] == ["t1", "t3"]
    assert get("support/prompts/?held_out=true").json()["results"] == []
    assert len(get("support/prompts/?held_out=false&language=en").json()["results"]) == 5
    assert get("support/prompts/?domain=cooking").status_code == 400


def test_one_task_with_its_instructions(get, project):
    prompt = make_prompt(project)
    completions = make_completions(prompt, 3)
    detail = get(f"support/prompts/{prompt.pk}/").json()
    assert [row["id"] for row in detail["completions"]] == [completion.pk for completion in completions]
    assert get("support/prompts/999999/").status_code == 404


def test_comparisons(get, project, bob):
    first, second = make_comparison(project, priority=1), make_comparison(project)
    make_ranking(project, bob)
    Comparison.objects.filter(pk=second.pk).update(priority=0.5)
    rows = get("support/comparisons/").json()["results"]
    assert [(row["id"], row["judgments_taken"]) for row in rows] == [(first.pk, 1), (second.pk, 0)]
    assert rows[0]["completions"] == [slot.completion_id for slot in first.slots.all()]
    assert [row["id"] for row in get("support/comparisons/?open=true").json()["results"]] == [second.pk]
    assert [row["id"] for row in get("support/comparisons/?open=false").json()["results"]] == [first.pk]


def test_exports_are_streamed_lines(get, project, bob):
    make_comparison(project)
    make_ranking(project, bob)
    response = get("support/exports/trl/")
    assert response.streaming
    assert response["Content-Type"] == "application/jsonl"
    assert "support-trl.jsonl" in response["Content-Disposition"]
    (line,) = b"".join(response.streaming_content).decode().splitlines()
    assert json.loads(line)["chosen"]
    assert get("support/exports/xml/").status_code == 404
