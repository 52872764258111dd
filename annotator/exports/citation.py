"""How to cite an export: by what it is of, when it was frozen, and the hash that tells it from all others."""

from __future__ import annotations

from django.utils.translation import gettext as _

from annotator.models import Export


def in_words(export: Export, address: str) -> str:
    day = export.frozen_at.date().isoformat()
    return _(
        "%(title)s: human rankings of instructions, format %(format)s, as of %(day)s. %(software)s. "
        "SHA-256 %(sha256)s. %(address)s"
    ) % {
        "title": export.project.name,
        "format": export.format,
        "day": day,
        "software": export.manifest["software"],
        "sha256": export.sha256,
        "address": address,
    }


def bibtex(export: Export, address: str) -> str:
    frozen = export.frozen_at
    fields = {
        "title": f"{{{_escaped(export.project.name)}: human rankings of instructions}}",
        "year": str(frozen.year),
        "month": str(frozen.month),
        "version": frozen.date().isoformat(),
        "howpublished": f"{export.manifest['software']}, format {export.format}",
        "note": f"SHA-256 {export.sha256}",
        "url": address,
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@misc{{{export.project.slug}-{export.sha256[:8]},\n{lines}\n}}"


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "&%$#_{}" else letter for letter in text)
