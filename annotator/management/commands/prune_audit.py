"""Deletes old entries of the audit log: the one thing that takes its guard down. Says so in the log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from annotator import audit, audit_guard
from annotator.models import AuditEntry
from annotator.periods import first_since

FEWEST_DAYS = 30


class Command(BaseCommand):
    help = "Delete the audit log's entries that are older than so many days."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, required=True, help=f"keep these; at least {FEWEST_DAYS}")

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        if days < FEWEST_DAYS:
            raise CommandError(f"--days must be at least {FEWEST_DAYS}: what is younger is kept.")
        since = timezone.now() - timedelta(days=days)
        first_kept = first_since(AuditEntry.objects.all(), "at", since)
        table = connection.ops.quote_name(audit_guard.TABLE)
        with audit_guard.taken_down(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table} WHERE id < %s", [first_kept])  # noqa: S608  ours
            entries = cursor.rowcount
            details = {"entries": entries, "before": since.isoformat(), "first_kept": first_kept}
            audit.record("pruned the audit log", details=details)
        self.stdout.write(f"{entries} entries from before {since:%Y-%m-%d} deleted.")
