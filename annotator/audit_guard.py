"""The database's own refusal to change or delete entries of the audit log: triggers.

They are put up after every `migrate` (also because SQLite forgets a table's triggers when a migration
rebuilds it). Who owns the database can take them down, as `manage.py prune_audit` does for old entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction

TABLE = "annotator_auditentry"
REFUSAL = "the audit log is only ever added to"

SQLITE_UP = [
    f"CREATE TRIGGER IF NOT EXISTS audit_no_{verb.lower()} BEFORE {verb} ON {TABLE} "
    f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    for verb in ("UPDATE", "DELETE")
]
SQLITE_DOWN = ["DROP TRIGGER IF EXISTS audit_no_update", "DROP TRIGGER IF EXISTS audit_no_delete"]
POSTGRES_UP = [
    "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
    f"DROP TRIGGER IF EXISTS audit_no_change ON {TABLE}",
    f"CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON {TABLE} "
    "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
]
POSTGRES_DOWN = [f"DROP TRIGGER IF EXISTS audit_no_change ON {TABLE}"]
UP = {"sqlite": SQLITE_UP, "postgresql": POSTGRES_UP}
DOWN = {"sqlite": SQLITE_DOWN, "postgresql": POSTGRES_DOWN}


def put_up(using: str = "default", **kwargs: Any) -> None:
    """A receiver of `post_migrate`; does nothing while there is no such table (migrated backwards)."""
    connection = connections[using]
    if TABLE in connection.introspection.table_names():
        _run(using, UP[connection.vendor])


@contextmanager
def taken_down(using: str = "default") -> Iterator[None]:
    """Within the block, which is one transaction, entries may be deleted."""
    with transaction.atomic(using=using):
        _run(using, DOWN[connections[using].vendor])
        yield
        _run(using, UP[connections[using].vendor])


def _run(using: str, statements: list[str]) -> None:
    with connections[using].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
