"""The order of the queue, changed for many comparisons at once: the door for whoever knows better by now."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from annotator.models import Assignment, Comparison, Project

CHUNK = 500
"""Comparisons changed in one transaction: a claim waits for no longer than that."""

_CHANGE = f"""
UPDATE {Comparison._meta.db_table} SET priority = %s
WHERE id = %s AND is_queued AND NOT is_closed AND judgments_taken < judgments_wanted
"""  # noqa: S608


def open_and_free(project: Project, *, rules: Sequence[str]) -> list[tuple[int, tuple[int, ...], str]]:
    """The open comparisons chosen by these rules that nobody holds: (id, completions, rule), by id."""
    held = Assignment.objects.filter(comparison=OuterRef("pk"), state=Assignment.State.LEASED)
    waiting = Comparison.objects.open().filter(~Exists(held), project=project, rule__in=rules).order_by("pk")
    rows = waiting.values_list("pk", "completions_key", "rule")
    return [(pk, tuple(int(word) for word in key.split(",")), rule) for pk, key, rule in rows]


def change(wanted: Sequence[tuple[int, float]]) -> None:
    """Give comparisons (id, priority) their places; those that are not open any more stay as they are."""
    for start in range(0, len(wanted), CHUNK):
        chunk = sorted(wanted[start : start + CHUNK])  # one order of locks for everybody
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(_CHANGE, [(priority, pk) for pk, priority in chunk])
