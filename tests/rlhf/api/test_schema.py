"""schemathesis: whatever a manager's token sends, no answer is an error of ours or other than described."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from annotator import tokens
from annotator.exports import jobs
from annotator.exports.recipe import Recipe
from annotator.models import Invitation, Note, PromptImport, Role, Scope
from annotator.quality import gold, reports
from annotator.ranking import queue
from annotator.site.wsgi import application
from annotator.webhooks import keeping
from rlhf import runs
from rlhf.models import Checkpoint, Evaluation, Run, RunRecord, RunSample, Score
from tests.factories import make_comparison, make_guideline, make_member, make_prompt, make_ranking, make_user

pytestmark = [pytest.mark.real, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1500)]


def only_503(context: Any, response: Any, case: Any) -> None:
    """No server error but the one that is none: there is no worker here to score."""
    assert response.status_code < 500 or response.status_code == 503, response.text


CHECKS = [only_503, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = int(os.environ.get("PREFLOOP_EXAMPLES", "8"))
BOUNDED = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LEFT_OUT = "/api/(schema|docs)/"


@pytest.fixture
def filled(project: Any, alice: Any, bob: Any, carol: Any, settings: Any) -> dict[str, Any]:
    """A project with a row of everything; the ids that addresses name, and a token for all of it."""
    settings.WEBHOOK_HOSTS = ["hooks.example.org"]
    settings.API_LIMITS = {"calls": "0/minute", "scores": "0/minute"}
    settings.SCORE_SECONDS = 0.1
    make_guideline(project)
    prompt = make_prompt(project, "Sort names.", examples=[{"input": "a", "output": "b"}])
    comparison = make_comparison(project, prompt, wanted=2, priority=1)
    make_ranking(project, bob, rationale="Clear.")
    make_ranking(project, carol, first=1)
    make_comparison(project)
    held = queue.claim_next(annotator=alice, project=project)
    first, second = comparison.completions.all()
    question = gold.make(comparison, ranks={first.pk: 1, second.pk: 2})
    reports.compute(project)
    run = Run.objects.create(project=project, kind="policy", state="failed", config={"steps": 3})
    RunRecord.objects.create(run=run, step=1, values={"loss": 0.5, "gone": None})
    RunSample.objects.create(run=run, step=1, prompt=prompt, text="x", values={"score": 1.0})
    policy = Checkpoint.objects.create(project=project, kind="policy", name="p", base_model="b", run=run)
    judged = Run.objects.create(project=project, kind="evaluation", state="done")
    Evaluation.objects.create(run=judged, old=runs.base_policy(project), new=policy, result={"kl": 1.0})
    trained = Run.objects.create(project=project, kind="reward", state="done")
    Checkpoint.objects.create(project=project, kind="reward", name="r", base_model="b", run=trained)
    Score.objects.create(completion=first, mean=0.5, details={"leak": False})
    webhook, _ = keeping.make(
        project=project, url="https://hooks.example.org/", wanted=["run.finished"], by=alice
    )
    batch = PromptImport.objects.create(project=project, name="t.tsv", sha256="0" * 64, file="none")
    invitation = Invitation.objects.create(project=project, secret_hash="0" * 64, expires_at=batch.created_at)
    return {
        "token": tokens.make(owner=alice, name="all", scopes=list(Scope))[1],
        "slug": project.slug,
        "prompt_id": prompt.pk,
        "comparison_id": question.comparison_id,
        "import_id": batch.pk,
        "member_id": project.memberships.get(user=make_member(project, Role.ANNOTATOR, make_user("erin"))).pk,
        "invitation_id": invitation.pk,
        "note_id": Note.objects.create(project=project, author=bob, text="Unclear.").pk,
        "webhook_id": webhook.pk,
        "delivery_id": keeping.test(webhook).pk,
        "run_id": run.pk,
        "checkpoint_id": policy.pk,
        "format_name": "trl",
        "export_id": jobs.create(project=project, recipe=Recipe("raw"), user=alice, send_it=False).pk,
        "name": "manifest.json",
        "assignment": held.pk if held else 0,
    }


def test_no_answer_is_other_than_described(filled: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {filled['token']}"}
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", application)
    operations = [one.ok() for one in schema.exclude(path_regex=LEFT_OUT).get_all_operations()]
    assert len(operations) > 80
    problems = []
    for operation in operations:
        asked = given(case=operation.as_strategy())(BOUNDED(_ask(filled, headers)))
        try:
            asked()
        except (Exception, BaseExceptionGroup) as error:
            problems.append(f"{operation.label}: {error}")
    assert not problems, "\n\n".join(problems)


def _ask(filled: dict[str, Any], headers: dict[str, str]) -> Callable[[Any], None]:
    def ask(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)
        if case.path_parameters:  # and once more where the rows of the address are there
            known = {name: filled.get(name, value) for name, value in case.path_parameters.items()}
            case.path_parameters = known
            case.call_and_validate(headers=headers, checks=CHECKS)

    return ask
