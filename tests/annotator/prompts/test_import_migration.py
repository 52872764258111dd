"""Imports that were made before they had steps."""

from importlib import import_module

import pytest
from django.apps import apps

from annotator.models import PromptImport
from annotator.prompts import importing, undoing
from tests.factories import make_import

pytestmark = pytest.mark.django_db
STEPS = import_module("annotator.migrations.0006_import_steps")


def test_what_a_worker_was_reading_is_inspected_from_the_beginning(project):
    batch = make_import(project)
    PromptImport.objects.update(state="running", options={}, report={})
    STEPS.wait_anew(apps, None)
    assert importing.waiting() == [batch.pk]
    batch.refresh_from_db()
    assert importing.import_now(batch).state == PromptImport.State.DONE


def test_what_was_done_keeps_its_counts_and_can_be_undone(project, alice, client_of):
    batch = importing.import_now(make_import(project))
    old = {"lines": 1, "read": 1, "prompts": 1, "held_out": 0, "known": 0, "repeated": 2, "completions": 1}
    PromptImport.objects.update(
        options={}, report={}, counts={**old, "completions_known": 0, "comparisons": 0}
    )
    batch.refresh_from_db()
    page = client_of(alice).get(f"/projects/support/import/{batch.pk}/").content.decode()
    assert "and 2 repeated in the file" in page
    undoing.undo(batch, alice)
    assert not project.prompts.exists()


def test_back_again_nothing_is_left_in_a_state_that_was_not_known(project):
    for state in PromptImport.State.values:
        make_import(project, name=f"{state}.tsv")
        PromptImport.objects.filter(name=f"{state}.tsv").update(state=state)
    STEPS.forget_the_steps(apps, None)
    found = set(PromptImport.objects.values_list("state", flat=True))
    assert found == {"queued", "done", "failed", "cancelled"}
