"""Times as numbers: rows are numbered in the order in which they were made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet


def first_since(rows: QuerySet[Any], column: str, moment: datetime) -> int:
    """The lowest number from which on rows are not older than `moment`; found by halving, not by reading."""
    ends = rows.order_by("pk").values_list("pk", flat=True)  # both at once would be read off all rows
    low, high = ends.first() or 0, (ends.last() or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = rows.filter(pk__gte=middle).order_by("pk").values_list("pk", column).first()
        if row is None or row[1] >= moment:
            high = middle
        else:
            low = row[0] + 1
    return low
