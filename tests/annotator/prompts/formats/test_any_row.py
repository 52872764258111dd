"""Whatever a row holds, it is read or refused by name: no other error, and nothing half-read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.prompts import formats
from annotator.prompts.fields import FieldProblem
from annotator.prompts.formats.headed import unpacked
from annotator.prompts.preparing import Preparation, PreparationOptions
from annotator.prompts.records import Record

NAMES = [
    "text", "task", "prompt", "instruction", "completion", "examples", "held_out_examples", "reference",
    "domain", "language", "image", "image_text", "source", "input", "output", "context", "response", "chosen",
    "rejected", "instances", "instructions", "induce", "execute", "messages", "conversations", "role",
    "content", "from", "value", "system", "completions", "model", "overall_score", "annotations", "Rating",
    "response1", "response2", "annotator1", "response 1", "response 2", "label", "conversation_a",
    "conversation_b", "winner", "model_a", "judge", "fields", "responses", "metadata", "values", "user_id",
    "status", "rank", "ranking.responses", "ranking.responses.users", "response-1", "response-2", "data",
    "annotation_id", "lead_time", "result", "selected", "ranker", "items", "id", "body", "completed_by",
    "replies", "lang", "preferred_output", "non_preferred_output", "occupation(0)", "other-participant(1)",
    "answer", "sentence", "score_chosen", "score_rejected", "strength", "cmp_key", "任务", "指令",
]  # fmt: skip
WORDS = [
    "", " ", "Hi", "请写", "user", "assistant", "left", "submitted", "response-2", "model_a", "1", "2", "N/A",
    "\n\nHuman: a\n\nAssistant: b", "[", '[{"role": "user"}]', "\ud800", "en", "code",
]  # fmt: skip
plain = st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.sampled_from(WORDS)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)
rows = st.dictionaries(st.sampled_from(NAMES), values, max_size=8)
FAMILIES = {family.name: family for family in formats.families(answers=False)}
SHAPES = {
    "argilla": {"fields": {"prompt": "Hi", "response-1": "a", "response-2": "b"}, "responses": []},
    "label-studio": {"data": {"prompt": "Hi", "answer1": "a", "answer2": "b"}, "annotations": []},
    "trees": {"prompt": {"text": "Hi", "replies": []}},
    "votes": {"response1": "a", "response2": "b", "annotator1": 1},
    "chat": {"messages": []},
    "ultrafeedback": {"instruction": "Hi", "completions": []},
    "preference": {"chosen": [], "rejected": []},
}


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=150, deadline=None)
@given(row=rows, data=st.data())
def test_every_family(name, row, data):
    shape = SHAPES.get(name, {})
    if shape:
        changed = data.draw(st.dictionaries(st.sampled_from(sorted(shape)), values, max_size=1))
        row = {**row, **shape, **changed}
    try:
        record = FAMILIES[name].read(1, unpacked(row))
    except FieldProblem:
        return
    assert isinstance(record, Record)
    assert record.shown.strip()
    for ranking in record.preferences:
        assert len(ranking.ranks) == len(record.completions)
        assert sum(rank > 0 for rank in ranking.ranks) > 1
    texts = [" ".join(given.text.split()) for given in record.completions]
    assert len(set(texts)) == len(texts) and "" not in texts


@settings(max_examples=150, deadline=None)
@given(row=rows, answers=st.booleans())
def test_what_is_recognised_is_read_and_prepared(row, answers):
    family = formats.recognise([row], answers=answers)
    if family is None:
        return
    try:
        record = family.read(1, row)
    except FieldProblem:
        return
    options = PreparationOptions(nfkc=True, strip_html=True, near_duplicates=True, personal="mask")
    list(Preparation(options).prepare([record]))
