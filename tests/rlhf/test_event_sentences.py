"""Every event that the code records has a sentence, so that every language can have its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils.html import format_html

from annotator.models import Event
from rlhf.templatetags.loop import SENTENCES, WITHOUT_SUBJECT, event_text

ROOT = Path(__file__).parents[2]
VERB = 2  # its place among the arguments of events.record


def verbs_of(source: str) -> Iterator[str]:
    """The verbs in calls of `events.record`, also where a helper of the module is given them."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "events.record":
            verb = node.args[VERB]
            if isinstance(verb, ast.Constant):
                yield verb.value
                continue
            (helper,) = [f for f in functions if node in ast.walk(f)]
            yield from given_to(tree, helper, ast.unparse(verb))


def given_to(tree: ast.Module, helper: ast.FunctionDef, name: str) -> Iterator[str]:
    place = [argument.arg for argument in helper.args.args].index(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == helper.name:
            assert isinstance(node.args[place], ast.Constant), ast.unparse(node)
            yield node.args[place].value


def verbs() -> set[str]:
    files = [path for part in ("annotator", "rlhf") for path in (ROOT / part).rglob("*.py")]
    return {verb for path in files for verb in verbs_of(path.read_text())}


def test_it_finds_verbs_in_calls_and_through_helpers():
    source = (
        "def f(a, verb):\n  events.record(a, b, verb)\nf(1, 'x')\nf(2, 'y')\nevents.record(p, q, 'z', 's')"
    )
    assert set(verbs_of(source)) == {"x", "y", "z"}


def test_every_verb_has_its_sentence_and_no_sentence_is_left_over():
    assert verbs() == set(SENTENCES)
    assert set(WITHOUT_SUBJECT) <= set(SENTENCES)


@pytest.mark.parametrize("verb", sorted(SENTENCES))
def test_every_sentence_names_its_subject(verb: str):
    event = Event(verb=verb, subject="<i>", url="/x/")
    assert format_html('<a href="/x/">{}</a>', "<i>") in event_text(event)
    assert "{" not in event_text(event)


@pytest.mark.parametrize("verb", sorted(WITHOUT_SUBJECT))
def test_an_invitation_without_a_note_is_told_without_one(verb: str):
    assert event_text(Event(verb=verb)).startswith("The site ")
    assert not event_text(Event(verb=verb)).rstrip().endswith(":")
