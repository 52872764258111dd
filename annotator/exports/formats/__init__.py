"""The formats of exports, one small module a family."""

from __future__ import annotations

from annotator.exports.formats import raw, trl
from annotator.exports.formats.base import Format

FORMATS: dict[str, Format] = {one.name: one for family in (trl, raw) for one in family.FORMATS}
