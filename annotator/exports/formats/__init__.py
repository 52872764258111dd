"""The formats of exports, one small module a family."""

from __future__ import annotations

from annotator.exports.formats import arena, argilla, chats, prompts, raw, trl
from annotator.exports.formats.base import Format

FORMATS: dict[str, Format] = {
    one.name: one for family in (trl, raw, chats, prompts, argilla, arena) for one in family.FORMATS
}
