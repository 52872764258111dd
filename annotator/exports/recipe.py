"""How an export is made. The same recipe of the same frozen state gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from annotator.exports import checking
from annotator.exports.checking import InvalidRequest
from annotator.exports.formats import FORMATS
from annotator.exports.preferences import RULES
from annotator.exports.selection import Selection, SplitPlan

FILE_TYPES = ("jsonl", "csv", "parquet")
LICENSES = (
    "unknown", "other", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0",
    "odc-by", "apache-2.0", "mit",
)  # fmt: skip
"""As hubs name them."""


@dataclass(frozen=True)
class Recipe:
    """How to make an export. Raises InvalidRequest, which names the field."""

    format: str
    rule: str = "vote"
    selection: Selection = field(default_factory=Selection)
    splits: SplitPlan = field(default_factory=SplitPlan)
    file_type: str = "jsonl"
    gzip: bool = False
    license: str = "unknown"

    def __post_init__(self) -> None:
        checking.choice("format", self.format, FORMATS)
        checking.choice("rule", self.rule, RULES)
        checking.choice("file_type", self.file_type, FORMATS[self.format].file_types)
        checking.choice("license", self.license, LICENSES)
        checking.yes_or_no("gzip", self.gzip)
        if self.gzip and self.file_type == "parquet":
            raise InvalidRequest("gzip", _("Parquet files are compressed within."))
        if self.rule not in FORMATS[self.format].rules:
            raise InvalidRequest("rule", _("This format has no such rule."))

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "rule": self.rule,
            "selection": self.selection.to_json(),
            "splits": self.splits.to_json(),
            "file_type": self.file_type,
            "gzip": self.gzip,
            "license": self.license,
        }

    @classmethod
    def from_json(cls, value: Any) -> Recipe:
        """Raises InvalidRequest, which names the field."""
        given = dict(checking.fields_of(value, cls.__dataclass_fields__, field="recipe"))
        if "format" not in given:
            raise InvalidRequest("format", _("This is missing."))
        given["selection"] = Selection.from_json(given.get("selection", {}))
        given["splits"] = SplitPlan.from_json(given.get("splits", {}))
        return cls(**given)
