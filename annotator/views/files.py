"""Tables as files for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse

from annotator.quality.tables import as_csv


def csv_file(rows: Iterable[list[Any]], *, name: str) -> HttpResponse:
    """A CSV file to save; the mark at its beginning tells spreadsheets that it is UTF-8."""
    response = HttpResponse("\ufeff" + as_csv(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
