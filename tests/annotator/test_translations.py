"""Everything is said in Chinese too, and the compiled catalogue says what the source says."""

from __future__ import annotations

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path("annotator/locale/zh_Hans/LC_MESSAGES")
FIELD = re.compile(r'^(msgctxt|msgid|msgid_plural|msgstr|msgstr\[0\]) ((?:"(?:[^"\\]|\\.)*"\n?)+)', re.M)
Key = tuple[str | None, str]


def read(file: Path) -> dict[Key, str]:
    """(context, msgid) → translation, of the entries in use."""
    entries = {}
    for block in file.read_text(encoding="utf-8").split("\n\n")[1:]:
        if block.startswith("#~"):
            continue
        fields = {
            name: "".join(ast.literal_eval(line) for line in text.strip().split("\n"))
            for name, text in FIELD.findall(block)
        }
        translation = fields.get("msgstr", "") or fields.get("msgstr[0]", "")
        entries[fields.get("msgctxt"), fields["msgid"]] = "" if "fuzzy" in block else translation
    return entries


@pytest.fixture(scope="module")
def catalogue() -> dict[Key, str]:
    return read(ROOT / FOLDER / "django.po")


def test_every_entry_is_translated(catalogue):
    assert len(catalogue) > 500
    assert [key for key, text in catalogue.items() if not text] == []


def test_placeholders_survive_translation(catalogue):
    # In Python's formats and the scripts' braces; a plural's number may be left out of neither.
    pattern = re.compile(r"%\(\w+\)[sdg]|\{\w+\}")
    wrong = [
        key for key, text in catalogue.items() if set(pattern.findall(key[1])) - set(pattern.findall(text))
    ]
    assert wrong == []


def test_the_compiled_catalogue_is_the_source(catalogue):
    with (ROOT / FOLDER / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for (context, message), text in catalogue.items():
        said = compiled.pgettext(context, message) if context else compiled.gettext(message)
        assert said == text or compiled.ngettext(message, message, 2) == text, message


def test_no_string_of_the_code_is_missing(catalogue, tmp_path):
    if shutil.which("xgettext") is None:
        words = "xgettext is missing; on Debian: apt-get install gettext"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)
    for name in ("annotator", "rlhf", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / FOLDER / "django.po").unlink()
    shutil.copy(ROOT / "manage.py", tmp_path)
    env = {**os.environ, "DEBUG": "1", "DJANGO_SETTINGS_MODULE": "annotator.site.settings"}
    command = [sys.executable, "manage.py", "makemessages", "-l", "zh_Hans", "--no-location"]
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    found = read(tmp_path / FOLDER / "django.po")
    assert sorted(message for _, message in found.keys() - catalogue.keys()) == []
