"""Tasks, comparisons, quality and exports as pages."""

import json

import pytest
from django.urls import reverse

from annotator.models import Event, Prompt
from annotator.quality import reports, wins
from annotator.ranking import queue, submit
from annotator.ranking.judgments import Judgment
from tests.factories import make_comparison, make_completions, make_prompt, make_ranking, make_user


@pytest.fixture
def get(project, alice, client_of):
    client = client_of(alice)
    return lambda name, *args, **query: client.get(
        reverse(name, args=[project.slug, *args]), query
    ).content.decode()


def test_the_list_of_tasks_counts_without_multiplying(get, project):
    prompt = make_prompt(project)
    make_comparison(project, completions=make_completions(prompt, 3)[:2])
    make_comparison(project, completions=list(prompt.completions.all())[1:])
    rows = get("prompts").split("<tbody>")[1]
    assert 'data-label="Instructions">3<' in rows
    assert 'data-label="Comparisons">2<' in rows


def test_tasks_are_found_by_text_domain_language_and_split(get, project):
    make_prompt(project, "Sort the parcels", domain="code")
    make_prompt(project, "整理包裹", language="zh-hans")
    Prompt.objects.filter(language="en").update(is_held_out=False)
    Prompt.objects.filter(language="zh-hans").update(is_held_out=True)
    for query in ({"q": "parcels"}, {"domain": "code"}, {"language": "en"}, {"held_out": "0"}):
        content = get("prompts", **query)
        assert "Sort the parcels" in content
        assert "整理包裹" not in content
    assert "整理包裹" in get("prompts", held_out="1")
    assert "No task fits" in get("prompts", q="nothing like it")


def test_the_list_of_tasks_has_pages(get, project):
    for _ in range(30):
        make_prompt(project)
    assert "1–25 of 30" in get("prompts")
    assert "26–30 of 30" in get("prompts", page=2)


def test_a_task_shows_its_instructions_and_their_record(get, project, bob):
    prompt = make_prompt(project, "Count", held_out_examples=[{"input": "hidden", "output": "9"}])
    make_comparison(project, prompt)
    make_ranking(project, bob)
    content = get("prompt", prompt.pk)
    assert "1 held-out example" in content
    assert "100 %" in content
    assert "0 %" in content


def test_a_tie_is_half_a_win(project, bob):
    comparison = make_comparison(project)
    assignment = queue.claim_next(annotator=bob, project=project)
    ranks = dict.fromkeys(assignment.order, 1)
    submit.submit(assignment=assignment, judgment=Judgment(ranks=ranks), idempotency_key="k")
    record = wins.of_prompt(comparison.prompt)
    assert [(row.pairs, row.share) for row in record.values()] == [(1, 0.5), (1, 0.5)]


def test_comparisons_are_found_by_state(get, project, bob):
    done = make_comparison(project, make_prompt(project, "The judged one"), priority=5)
    make_ranking(project, bob)
    make_comparison(project, make_prompt(project, "The open one"))
    closed = make_comparison(project, make_prompt(project, "The closed one"))
    closed.is_closed = True
    closed.save()
    assert done.priority == 5
    for state, text in (("open", "The open one"), ("done", "The judged one"), ("closed", "The closed one")):
        content = get("comparisons", state=state)
        assert [name for name in ("open", "judged", "closed") if f"The {name} one" in content] == [
            text.split()[1]
        ]


def test_a_comparison_shows_every_judgment_the_undone_ones_too(get, project, bob):
    comparison = make_comparison(project)
    ranking = make_ranking(project, bob, strength=3, rationale="So clear.")
    submit.undo(annotator=bob, ranking=ranking, idempotency_key="undo")
    content = get("comparison", comparison.pk)
    assert "1 is much better" in content
    assert "So clear." in content
    assert "taken back" in content
    assert "Undone" in content


def test_a_closed_comparison_is_not_handed_out(project, alice, bob, client_of):
    comparison = make_comparison(project)
    url = reverse("comparison-close", args=[project.slug, comparison.pk])
    client_of(alice).post(url)
    assert queue.claim_next(annotator=bob, project=project) is None
    client_of(alice).post(url, {"open": "1"})
    assert queue.claim_next(annotator=bob, project=project) is not None


def test_quality_counts_pace_and_agreement(get, project, bob, carol):
    project.judgments_wanted = 2
    project.save()
    for seconds in (10, 20, 90):
        make_comparison(project)
        make_ranking(project, bob, first=0, seconds=seconds)
        make_ranking(project, carol, first=0 if seconds < 90 else 1)
    mine = reports.compute(project).figures["people"][str(bob.pk)]
    assert (mine["judgments"], mine["pace"], mine["tie_share"]) == (3, 20, 0)
    assert (mine["pairs"], mine["agreement"]) == (3, pytest.approx(2 / 3))


def test_quality_marks_simulated_annotators(get, project, bob):
    from annotator.models import Membership

    machine = make_user("machine", is_simulated=True)
    Membership.objects.create(project=project, user=machine, role="annotator")
    make_comparison(project, wanted=2)
    make_ranking(project, machine)
    make_ranking(project, bob)
    reports.compute(project)
    content = get("quality")
    assert "With simulated annotators" not in content  # only one person: nobody to agree with
    assert "too few tasks for an interval" in content
    assert "simulated" in get("quality-annotators")


def test_quality_of_an_empty_project_says_so(get):
    assert "Nobody has judged yet" in get("quality")


def test_downloads_hold_what_they_say(project, dana, bob, client_of):
    make_comparison(project)
    make_comparison(project)
    make_ranking(project, bob)
    make_ranking(project, bob, verdict="all_bad", ranks={})
    client = client_of(dana)
    for name, lines in (("trl", 1), ("raw", 2)):
        response = client.get(reverse("export-download", args=[project.slug, name]))
        body = b"".join(response.streaming_content).decode()
        assert response["Content-Disposition"] == f'attachment; filename="support-{name}.jsonl"'
        assert len([json.loads(line) for line in body.splitlines()]) == lines
    assert Event.objects.filter(verb="exported", actor=dana).count() == 2


def test_an_unknown_export_is_not_found(project, dana, client_of):
    assert client_of(dana).get(reverse("export-download", args=[project.slug, "xml"])).status_code == 404


def test_an_empty_export_says_so(get):
    assert "Nothing to export yet" in get("exports")
