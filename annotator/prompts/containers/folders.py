"""A folder of data as `datasets` writes it or a hub keeps it: which of its files hold rows.

What `dataset_info.json` and the like say of addresses is not read, let alone fetched; files outside the
folder, by link or by name, are refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from annotator.prompts.reading import ImportProblem

TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".txt")
ABOUT = frozenset(
    ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "package.json")
)
"""They are about the data and hold none."""
MAX_ABOUT = 1024 * 1024
MAX_TABLES = 1000


def is_dataset(names: list[str]) -> bool:
    """Whether the paths are those of a dataset's folder."""
    return any(name.rpartition("/")[2] in ABOUT - {"package.json"} for name in names)


def table_names(names: list[str]) -> list[str]:
    """Those of the paths that may hold rows, in order. Raises ImportProblem if there are too many."""
    found = [name for name in sorted(names) if _may_hold_rows(name, names)]
    if len(found) > MAX_TABLES:
        raise ImportProblem(0, "", f"it has {len(found)} tables; {MAX_TABLES} are the most.")
    return found


def files_of(folder: Path) -> list[Path]:
    """The files within a folder and those below it. Raises ImportProblem where a link leads out of it."""
    root = folder.resolve()
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise ImportProblem(0, "", f"“{path.relative_to(folder)}” leads out of the folder.")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            found.append(path)
    return found


def listed(state: Path) -> set[str] | None:
    """The data files that a `state.json` names; None if it names none that are in its own folder.

    Raises ImportProblem for names of files elsewhere.
    """
    if state.stat().st_size > MAX_ABOUT:
        raise ImportProblem(0, "", "its state.json is too large.")
    try:
        said: Any = json.loads(state.read_bytes())
    except (ValueError, RecursionError):
        raise ImportProblem(0, "", "its state.json is not JSON.") from None
    files = said.get("_data_files") if isinstance(said, dict) else None
    names: set[str] = set()
    for file in files if isinstance(files, list) else ():
        name = file.get("filename") if isinstance(file, dict) else None
        if not isinstance(name, str) or Path(name).name != name or "\\" in name:
            raise ImportProblem(
                0, "", f"its state.json names “{str(name)[:60]}”, which is not in its folder."
            )
        names.add(name)
    return names or None


def _may_hold_rows(name: str, names: list[str]) -> bool:
    last = name.rpartition("/")[2]
    if last in ABOUT or last.startswith(".") or not last.lower().endswith(TABLES):
        return False
    # Text files beside tables are notes or licences.
    others = (other for other in names if not other.lower().endswith(".txt") and other != name)
    return not last.lower().endswith(".txt") or not any(other.lower().endswith(TABLES) for other in others)
