"""What docs/methods.md says that the code is, is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

METHODS = (Path(__file__).parents[1] / "docs" / "methods.md").read_text()
NAMES = sorted(set(re.findall(r"`((?:rlhf|annotator)(?:\.\w+)+)`", METHODS)))
FILES = sorted(set(re.findall(r"`((?:rlhf|annotator|tests|bench)/[\w/]+\.py)`", METHODS)))


def test_the_decision_process_is_written_down():
    section = METHODS.partition("## The decision process\n")[2].partition("\n## ")[0]
    for part in ("state", "action", "transition", "reward", "policy", "value"):
        assert re.search(rf"^\| {part}\b.*`rlhf\.lm\.\w+\.\w+`", section, re.MULTILINE), part
    assert "F(s, a, s', R)" in section and len(NAMES) > 12


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_there(name: str):
    module, attributes = name, list[str]()
    while True:
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            assert module, f"there is no module of {name}"
            attributes.insert(0, last)
    for attribute in attributes:
        found = getattr(found, attribute)


@pytest.mark.parametrize("file", FILES)
def test_each_file_is_there(file: str):
    assert (Path(__file__).parents[1] / file).is_file()
