"""Which code made something: the version, and the commit where the code is a git checkout."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def code_version() -> str:
    """Such as `0.1.0+1a2b3c4`, with `-dirty` where files differ from the commit."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = str(project["version"])
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return version
    described = subprocess.run(  # noqa: S603 - nothing in it comes from outside
        [git, "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return f"{version}+{described.stdout.strip()}" if described.returncode == 0 else version
