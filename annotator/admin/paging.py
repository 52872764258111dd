"""Pages of the admin's lists that cost the same however many rows there are.

Counting a million rows takes longer than reading a page of them. A list is counted up to `MOST` and no
further; what lies beyond is found by a filter, a period or a number.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator

MOST = 5_000
"""Rows that a list counts and pages through."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    @cached_property
    def count(self) -> int:
        """How many rows there are, `MOST` at most."""
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST].count())

    @property
    def is_cut(self) -> bool:
        """Whether there may be more than were counted."""
        return self.count >= MOST
