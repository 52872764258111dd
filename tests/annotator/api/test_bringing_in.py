"""Projects, tasks, instructions, comparisons, members over the API: what the pages do, as JSON."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from annotator.models import Comparison, Completion, Guideline, Membership, Project, Prompt, PromptImport
from annotator.prompts import importing
from annotator.quality import gold
from tests.factories import (
    make_comparison,
    make_completions,
    make_image,
    make_prompt,
    make_ranking,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(by_token, alice):
    return by_token(alice)


def test_a_project_is_founded_read_and_changed(call, alice):
    made = call(
        "post", "projects/", {"name": "Refunds", "flags": ["rude", " rude "], "guidelines": "Be *fair*."}
    )
    assert made.status_code == 201 and made["Location"] == "/api/projects/refunds/"
    data = made.json()
    assert (data["slug"], data["flags"], data["guidelines"]) == ("refunds", ["rude"], "Be *fair*.")
    project = Project.objects.get(slug="refunds")
    assert Membership.objects.get(project=project).user == alice
    changed = call(
        "patch", "projects/refunds/settings/", {"judgments_wanted": 3, "guidelines": "Be fair."}
    ).json()
    assert (changed["judgments_wanted"], changed["name"], changed["guidelines"]) == (3, "Refunds", "Be fair.")
    versions = call("get", "projects/refunds/guidelines/").json()["results"]
    assert [row["version"] for row in versions] == [2, 1]
    assert project.events.filter(verb="changed the settings", subject="judgments_wanted, guidelines").exists()
    call("patch", "projects/refunds/settings/", {"name": "Returns"})
    assert Guideline.objects.count() == 2, "the same guidelines are no new version"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"completions_per_comparison": 3},
        {"response_format": "ranking"},
        {"gold_rate": 0.6},
        {"lease_seconds": 29},
        {"flags": ["x" * 41]},
        {"flags": "rude"},
        {"held_out_share": -0.1},
        {"language": "tlh"},
        {"selection_strategy": "best"},
    ],
)
def test_settings_that_do_not_fit(call, project, wrong):
    assert call("patch", "projects/support/settings/", wrong).status_code == 400
    project.refresh_from_db()
    assert (project.name, project.response_format) == ("Support", "pairwise")


def test_a_task_is_added_once_and_cleaned(call, project):
    data = {
        "text": "Sort\u200bnames\x07. ",
        "examples": [{"input": " Jane Austen", "output": "Austen, Jane "}],
        "completions": ["Surname first.", "Surname  first. ", "Sort."],
    }
    first = call("post", "projects/support/prompts/", data)
    assert first.status_code == 201
    made = first.json()
    assert made["examples"] == [{"input": "Jane Austen", "output": "Austen, Jane"}]
    assert [row["text"] for row in made["completions"]] == ["Surname first.", "Sort."]
    assert made["language"] == "en"
    again = call("post", "projects/support/prompts/", {**data, "completions": ["A third."]})
    assert again.status_code == 200 and again.json()["id"] == made["id"]
    assert Completion.objects.filter(source="imported").count() == 3


def test_many_tasks_all_or_none(call, project):
    rows = [{"text": f"Task {n % 3}", "completions": [f"Do {n}."]} for n in range(6)]
    done = call("post", "projects/support/prompts/bulk/", {"prompts": rows}).json()
    assert (done["created"], done["completions"]) == (3, 6)
    assert done["ids"][:3] == done["ids"][3:] and len(set(done["ids"])) == 3
    assert (
        call("post", "projects/support/prompts/bulk/", {"prompts": [{"text": "New"}, {}]}).status_code == 400
    )
    assert (
        call("post", "projects/support/prompts/bulk/", {"prompts": [{"text": "x"}] * 1001}).status_code == 400
    )
    assert Prompt.objects.count() == 3


def test_instructions_and_comparisons(call, project):
    prompt, other = make_prompt(project), make_prompt(project)
    made = call("post", "projects/support/completions/", {"prompt": prompt.pk, "texts": ["A.", "B.", "A."]})
    ids = [row["id"] for row in made.json()["completions"]]
    assert made.status_code == 201 and ids[0] == ids[2] != ids[1]
    assert len(call("get", f"projects/support/completions/?prompt={prompt.pk}").json()["results"]) == 2
    body = {"comparisons": [{"prompt": prompt.pk, "completions": ids[:2], "priority": 2}]}
    assert call("post", "projects/support/comparisons/", body).json() == {"created": 1}
    assert call("post", "projects/support/comparisons/", body).json() == {"created": 0}
    row = Comparison.objects.get()
    assert (row.priority, row.rule, row.judgments_wanted) == (2, "random", 1)
    shown = call("get", f"projects/support/comparisons/{row.pk}/").json()
    assert [text["text"] for text in shown["texts"]] == ["A.", "B."] and shown["prompt"]["id"] == prompt.pk
    wrong = {"comparisons": [*body["comparisons"], {"prompt": other.pk, "completions": ids[:2]}]}
    assert call("post", "projects/support/comparisons/", wrong).status_code == 400
    assert call("post", f"projects/support/comparisons/{row.pk}/close/", {}).json()["is_closed"] is True
    assert call("post", f"projects/support/comparisons/{row.pk}/open/", {}).json()["is_closed"] is False


def test_rankings_name_people_to_managers_alone(call, by_token, dana, project, bob):
    make_comparison(project, wanted=2)
    ranking = make_ranking(project, bob, rationale="Clear.")
    (managers,) = call("get", "projects/support/rankings/").json()["results"]
    response = by_token(dana)("get", "projects/support/rankings/")
    (researchers,) = response.json()["results"]
    assert managers["username"] == "bob" and researchers["username"] is None
    assert managers["annotator"] == researchers["annotator"] != "bob"
    assert "bob" not in response.content.decode()
    assert researchers["rationale"] == "Clear." and researchers["prompt"] == ranking.comparison.prompt_id


def test_only_votes_where_asked(call, project, bob):
    comparison = make_comparison(project)
    make_ranking(project, bob)
    first, second = comparison.completions.all()
    question = gold.make(comparison, ranks={first.pk: 1, second.pk: 2})
    comparison.rankings.model.objects.create(
        comparison=question.comparison,
        assignment=comparison.assignments.get(),
        annotator=bob,
        idempotency_key="gold",
        ranks={},
    )
    assert len(call("get", "projects/support/rankings/").json()["results"]) == 2
    assert len(call("get", "projects/support/rankings/?votes=true").json()["results"]) == 1


def test_a_file_is_uploaded_inspected_started_and_undone(
    client, call, project, alice, monkeypatch, settings, tmp_path
):
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(importing, "send_import", lambda pk: True)
    client.force_login(alice)
    file = SimpleUploadedFile("tasks.tsv", b"Write it.\tA task\n")
    made = client.post("/api/projects/support/imports/", {"file": file, "default_domain": "code"})
    assert made.status_code == 201 and made.json()["state"] == "queued"
    batch = PromptImport.objects.get()
    assert made["Location"] == f"/api/projects/support/imports/{batch.pk}/"
    url = f"projects/support/imports/{batch.pk}/"
    assert call("post", url + "start/", {}).status_code == 409, "it was not inspected yet"
    importing.run_import(batch.pk)
    assert call("get", url).json()["state"] == "ready" and not Prompt.objects.exists()
    assert call("get", url + "report/").json()["report"]["read"] == 1
    assert call("get", url + "rejects/").status_code == 404
    assert call("post", url + "inspect/", {"format": "nonsense"}).status_code == 400
    inspected = call("post", url + "inspect/", {"nfkc": True, "languages": ["en"]}).json()
    assert (inspected["state"], inspected["options"]["nfkc"]) == ("queued", True)
    importing.run_import(batch.pk)
    assert call("post", url + "start/", {}).json()["state"] == "importing"
    importing.run_import(batch.pk)
    done = call("get", url).json()
    assert (done["state"], done["counts"]["prompts"], done["error"]) == ("done", 1, "")
    assert call("post", url + "cancel/", {}).status_code == 409
    used = make_comparison(project, Prompt.objects.get())
    gold.make(
        used, ranks={pk: place for place, pk in enumerate(used.completions.values_list("pk", flat=True), 1)}
    )
    kept = call("post", url + "undo/", {})
    assert (kept.status_code, kept.json()["code"]) == (409, "in_use")
    assert call("post", url + "undo/", {"keep_used": True}).json()["state"] == "undone"
    assert call("post", url + "undo/", {}).status_code == 409
    empty = client.post("/api/projects/support/imports/", {"file": SimpleUploadedFile("x", b"")})
    assert empty.status_code == 400 and empty.json()["errors"][0]["pointer"] == "/file"


def test_an_image(client, alice, project):
    client.force_login(alice)
    prompt = make_prompt(project)
    url = f"/api/projects/support/prompts/{prompt.pk}/image/"
    from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

    def put(file):
        body = encode_multipart(BOUNDARY, {"file": file, "image_text": "A red field"})
        return client.put(url, body, content_type=MULTIPART_CONTENT)

    picture = SimpleUploadedFile("a.png", make_image().read())
    assert put(picture).json()["image"].endswith(f"/projects/support/prompts/{prompt.pk}/image/")
    assert put(SimpleUploadedFile("a.png", b"no picture")).status_code == 400
    assert client.delete(url).status_code == 204
    prompt.refresh_from_db()
    assert not prompt.image


def test_members_come_change_and_go(call, project, alice):
    make_user("erin")
    made = call("post", "projects/support/members/", {"username": "erin"})
    assert made.status_code == 201 and made.json()["role"] == "annotator"
    url = f"projects/support/members/{made.json()['id']}/"
    assert call("post", "projects/support/members/", {"username": "erin"}).status_code == 409
    assert call("post", "projects/support/members/", {"username": "nobody"}).status_code == 400
    assert call("patch", url, {"role": "researcher"}).json()["role"] == "researcher"
    assert call("patch", url, {"is_paused": True}).status_code == 400
    paused = call("patch", url, {"is_paused": True, "reason": "Asked for a break."}).json()
    assert paused["paused_at"] and paused["pause_reason"] == "Asked for a break."
    assert call("patch", url, {"is_paused": False}).json()["paused_at"] is None
    mine = f"projects/support/members/{project.memberships.get(user=alice).pk}/"
    for method, data in (("patch", {"role": "annotator"}), ("delete", None)):
        assert call(method, mine, data).status_code == 409, "a project needs a manager"
    assert call("delete", url).status_code == 204
    assert not project.memberships.filter(user__username="erin").exists()


def test_an_invitations_link_is_shown_once(call, client, project):
    made = call("post", "projects/support/invitations/", {"places": 2, "note": "Team"}, Idempotency_Key="k")
    link = made.json()["link"]
    assert client.get(link).status_code == 200
    (row,) = call("get", "projects/support/invitations/").json()["results"]
    assert "link" not in row and (row["state"], row["places"]) == ("open", 2)
    closed = call("post", f"projects/support/invitations/{row['id']}/revoke/", {}).json()
    assert closed["state"] == "revoked"


def test_rows_of_another_project_are_not_found(call, project):
    from tests.factories import make_project

    other = make_project("elsewhere")
    prompt = make_prompt(other)
    first, second = make_completions(prompt)
    assert (
        call("post", "projects/support/completions/", {"prompt": prompt.pk, "texts": ["A."]}).status_code
        == 404
    )
    body = {"comparisons": [{"prompt": prompt.pk, "completions": [first.pk, second.pk]}]}
    assert call("post", "projects/support/comparisons/", body).status_code == 400
    comparison = make_comparison(other)
    for action in ("close/", "open/", ""):
        method = "post" if action else "get"
        assert call(method, f"projects/support/comparisons/{comparison.pk}/{action}", {}).status_code == 404
