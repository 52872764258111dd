"""How an export is made. The same recipe of the same frozen state gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from annotator.exports import checking
from annotator.exports.checking import InvalidRequest
from annotator.exports.formats import FORMATS
from annotator.exports.selection import Selection, SplitPlan

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
    file_type: str = ""
    """Empty: the one that the format's readers expect."""
    gzip: bool = False
    license: str = "unknown"

    def __post_init__(self) -> None:
        checking.choice("format", self.format, FORMATS)
        form = FORMATS[self.format]
        checking.choice("rule", self.rule, form.rules)
        if self.file_type == "":
            object.__setattr__(self, "file_type", form.file_types[0])
        checking.choice("file_type", self.file_type, form.file_types)
        checking.choice("license", self.license, LICENSES)
        checking.yes_or_no("gzip", self.gzip)
        if self.gzip and self.file_type == "parquet":
            raise InvalidRequest("gzip", _("Parquet files are compressed within."))
        if self.gzip and not form.may_gzip:
            raise InvalidRequest("gzip", _("The readers of this format do not read compressed files."))

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
