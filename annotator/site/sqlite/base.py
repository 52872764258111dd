"""Django's SQLite backend, but transactions wait in a queue for their turn to write.

SQLite lets one transaction write at a time; the others sleep for up to 100 ms and try anew, so the lock lies
idle while people wait, and some wait for a second. Here a transaction takes its turn first. SQLite's own lock
still decides: what writes outside a transaction, or without this backend, is as safe as ever.
"""

from __future__ import annotations

from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base
from django.db.backends.sqlite3.operations import DatabaseOperations as BaseOperations

from annotator.audit_guard import SQLITE_DOWN
from annotator.site.sqlite.queue import WriteQueue, queue_at


class DatabaseOperations(BaseOperations):
    def sql_flush(self, *args: Any, **kwargs: Any) -> list[str]:
        """Emptying the whole database empties the audit log too: its guard is put up again afterwards."""
        statements: list[str] = super().sql_flush(*args, **kwargs)
        return [*SQLITE_DOWN, *statements] if statements else []


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that waits in the queue `<database>-queue`; one to a database in memory does not."""

    ops_class = DatabaseOperations
    _turn: WriteQueue | None = None

    def _start_transaction_under_autocommit(self) -> None:
        self._wait()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._let_go()
            raise

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]  # the stubs name only what is public
        self._let_go()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._let_go()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._let_go()

    def _wait(self) -> None:
        if self._turn is not None or self.is_in_memory_db():
            return
        queue = queue_at(f"{self.settings_dict['NAME']}-queue")
        # As long as SQLite itself would have waited, and the same error.
        if not queue.wait(self.settings_dict["OPTIONS"].get("timeout", 5.0)):
            raise OperationalError("database is locked")
        self._turn = queue

    def _let_go(self) -> None:
        if self._turn is not None:
            turn, self._turn = self._turn, None
            turn.let_go()
