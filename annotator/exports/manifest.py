"""The manifest: what an export holds, so that it can be checked and cited."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from annotator.models import Project


@dataclass(frozen=True)
class Manifest:
    """Counts and hash of one export."""

    project: str
    format: str
    created_at: str
    software: str
    bytes: int
    sha256: str
    counts: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


class Tally:
    """Counts the rows and hashes the bytes of an export while it is written."""

    def __init__(self) -> None:
        self.bytes = 0
        self.digest = hashlib.sha256()
        self.counts: Counter[str] = Counter(lines=0, held_out=0, simulated=0, superseded=0)
        self.seen: dict[str, set[Any]] = {"ranking": set(), "prompt_id": set(), "annotator": set()}

    def add(self, row: dict[str, Any], data: bytes) -> None:
        self.bytes += len(data)
        self.digest.update(data)
        self.counts["lines"] += 1
        self.counts["held_out"] += row["held_out"]
        self.counts["simulated"] += row["simulated"]
        self.counts["superseded"] += not row.get("live", True)
        for name, values in self.seen.items():
            values.add(row[name])

    def manifest(self, project: Project, name: str) -> Manifest:
        different = {
            "rankings": len(self.seen["ranking"]),
            "prompts": len(self.seen["prompt_id"]),
            "annotators": len(self.seen["annotator"]),
        }
        return Manifest(
            project=project.slug,
            format=name,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            software=f"PrefLoop {settings.SPECTACULAR_SETTINGS['VERSION']}",
            bytes=self.bytes,
            sha256=self.digest.hexdigest(),
            counts={**self.counts, **different},
        )
