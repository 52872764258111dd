"""Searching lists of millions of rows: by numbers and names, which indexes find; words in the newest rows.

A text column of a million rows cannot be searched through while somebody waits, and an index of its words
would be paid for by every import and every generation (docs/adr/0019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db.models import Max, Model, Q, QuerySet

WINDOW = 20_000
"""The newest rows (by number) in which words are looked for."""
MOST_NAMED = 200
"""People or projects whose name begins as was asked for."""


def found(
    rows: QuerySet[Model],
    text: str,
    *,
    numbers: Sequence[str],
    names: Mapping[str, str],
    words: Sequence[str],
) -> QuerySet[Model]:
    """The rows that a search is about.

    `numbers` are columns that a number is compared with; `names` {foreign key: the column of its table that
    begins with the text}; `words` text columns of the newest rows that contain it.
    """
    wanted = Q(pk__in=())
    if text.isdecimal() and len(text) < 19:
        for column in numbers:
            wanted |= Q(**{column: int(text)})
    for key, column in names.items():
        named = rows.model._meta.get_field(key).related_model
        assert isinstance(named, type)  # noqa: S101  a foreign key
        ids = named._default_manager.filter(**{f"{column}__istartswith": text}).values_list("pk", flat=True)
        if pks := list(ids.order_by()[:MOST_NAMED]):
            wanted |= Q(**{f"{key}__in": pks})
    if words:
        newest = rows.model._default_manager.aggregate(newest=Max("pk"))["newest"] or 0
        contained = Q()
        for column in words:
            contained |= Q(**{f"{column}__icontains": text})
        wanted |= Q(pk__gt=newest - WINDOW) & contained
    return rows.filter(wanted)
