"""Events say who did what, newest first."""

from django.contrib.auth.models import AnonymousUser

from annotator import events
from annotator.models import Event


def test_it_records_who_did_what(project, alice):
    events.record(project, alice, "imported", "tasks.tsv", "/projects/support/prompts/")
    events.record(project, None, "finished", "x" * 400)
    events.record(project, AnonymousUser(), "looked")
    looked, finished, imported = Event.objects.all()
    assert (imported.actor, imported.verb, imported.subject) == (alice, "imported", "tasks.tsv")
    assert (finished.actor, len(finished.subject)) == (None, 300)
    assert looked.actor is None
