"""Exports of Argilla and Label Studio bring their tasks, their texts, and who preferred what."""

import pytest

from annotator.prompts import formats
from annotator.prompts.fields import FieldProblem
from annotator.prompts.records import GivenCompletion, GivenRanking


def read(row):
    family = formats.recognise([row], answers=False)
    return family.name, family.read(1, row)


FIELDS = {"prompt": "Hi", "response-1": "Hello", "response-2": "Yo", "response-3": "Go"}
TEXTS = tuple(GivenCompletion(text) for text in ("Hello", "Yo", "Go"))


class TestArgilla:
    def test_a_ranking_of_1x_with_ties(self):
        row = {
            "fields": FIELDS,
            "external_id": "x",
            "metadata": {"source": "forum", "language": "en"},
            "responses": [
                {
                    "user_id": "u1",
                    "status": "submitted",
                    "values": {
                        "preference": {
                            "value": [
                                {"value": "response-3", "rank": 2},
                                {"value": "response-1", "rank": 1},
                                {"value": "response-2", "rank": 1},
                            ]
                        }
                    },
                },
                {
                    "user_id": "u2",
                    "status": "discarded",
                    "values": {"preference": {"value": [{"value": "response-1"}]}},
                },
            ],
        }
        name, record = read(row)
        assert (name, record.text, record.completions) == ("argilla", "Hi", TEXTS)
        assert record.preferences == (GivenRanking((1, 1, 2), annotator="u1", source="preference"),)
        assert (record.language, record.source) == ("en", "forum")
        assert record.ignored == ("external_id",)

    def test_a_ranking_of_2x(self):
        row = {
            "id": "r1",
            "status": "completed",
            "fields": FIELDS,
            "metadata": {},
            "suggestions": {},
            "responses": {
                "preference": [
                    {"value": ["response-2", "response-1", "response-3"], "user_id": "u1"},
                    {"value": ["response-1", "response-2"], "user_id": "u2"},
                ]
            },
            "vectors": {},
        }
        name, record = read(row)
        assert (name, record.completions) == ("argilla", TEXTS)
        assert record.preferences == (
            GivenRanking((2, 1, 3), annotator="u1", source="preference"),
            GivenRanking((1, 2, 0), annotator="u2", source="preference"),
        )

    def test_what_the_library_writes(self):
        """The file as argilla 2.x itself makes it, where it is installed."""
        argilla = pytest.importorskip("argilla")
        import uuid

        user = uuid.uuid4()
        record = argilla.Record(
            id="r1",
            fields=FIELDS,
            responses=[argilla.Response("preference", "response-2", user_id=user)],
        )
        _, read_record = read(record.to_dict())
        assert [r.ranks for r in read_record.preferences] == [(2, 1, 2)]

    def test_flattened_2x(self):
        row = {
            "id": "r1",
            **FIELDS,
            "preference.responses": [["response-2", "response-1"], ["response-1", "response-2"]],
            "preference.responses.users": ["u1", "u2"],
            "preference.responses.status": ["submitted", "draft"],
        }
        _, record = read(row)
        assert record.preferences == (GivenRanking((2, 1, 0), annotator="u1", source="preference"),)
        assert record.ignored == ("id",)

    def test_1x_as_a_dataset(self):
        answer = {
            "user_id": "u1",
            "status": "submitted",
            "value": [{"value": "response-2", "rank": 1}, {"value": "response-1", "rank": 2}],
        }
        _, record = read({**FIELDS, "preference": [answer], "external_id": None})
        assert record.preferences == (GivenRanking((2, 1, 0), annotator="u1", source="preference"),)

    def test_a_choice_and_ratings(self):
        row = {
            "fields": {"instruction": "Hi", "response_a": "Hello", "response_b": "Yo"},
            "responses": {
                "better": [{"value": "response_b", "user_id": "u1"}],
                "rating_a": [{"value": 4, "user_id": "u2"}],
                "rating_b": [{"value": 4, "user_id": "u2"}],
                "comment": [{"value": "nice", "user_id": "u2"}],
            },
        }
        _, record = read(row)
        assert record.preferences == (
            GivenRanking((2, 1), annotator="u1", source="better"),
            GivenRanking((1, 1), annotator="u2", source="rating_a"),
        )

    def test_no_field_is_a_task(self):
        with pytest.raises(FieldProblem, match="none that is named like a task"):
            read({"fields": {"x": "Hi"}, "responses": []})


class TestLabelStudio:
    data = {"prompt": "Hi", "answer1": "Hello", "answer2": "Yo"}

    def annotated(self, value, **more):
        result = [{"from_name": "pw", "to_name": "answer1,answer2", "type": "pairwise", "value": value}]
        return {"id": 9, "completed_by": 4, "was_cancelled": False, "result": result, **more}

    def test_pairwise(self):
        annotations = [
            self.annotated({"selected": "right"}),
            self.annotated({"selected": "left"}, completed_by={"email": "ann@example.org", "id": 5}),
            self.annotated({"selected": "left"}, was_cancelled=True),
        ]
        name, record = read({"id": 1, "data": self.data, "annotations": annotations, "predictions": []})
        assert (name, record.text) == ("label-studio", "Hi")
        assert record.completions == (GivenCompletion("Hello"), GivenCompletion("Yo"))
        assert record.preferences == (
            GivenRanking((2, 1), annotator="4", source="label-studio"),
            GivenRanking((1, 2), annotator="ann@example.org", source="label-studio"),
        )
        assert record.ignored == ("id", "predictions")

    @pytest.mark.parametrize(
        "comparison", ["right", [{"selected": "right"}], '[{"selected": "right"}]', {"selected": "right"}]
    )
    def test_json_min_and_csv(self, comparison):
        row = {
            **self.data,
            "id": 1,
            "annotation_id": 3,
            "annotator": 4,
            "lead_time": 5.2,
            "comparison": comparison,
        }
        name, record = read(row)
        assert (name, record.text) == ("label-studio", "Hi")
        assert record.preferences == (GivenRanking((2, 1), annotator="4", source="label-studio"),)

    items = [{"id": f"llm_{n}", "title": f"LLM {n}", "body": body} for n, body in enumerate("ABC", start=1)]

    @pytest.mark.parametrize(
        ("ranker", "ranks"),
        [
            ({"rank": ["llm_2", "llm_3", "llm_1"]}, (3, 1, 2)),
            ({"good": ["llm_2", "llm_3"], "bad": ["llm_1"], "_": []}, (2, 1, 1)),
            ({"good": ["llm_2"], "bad": ["llm_1"], "_": ["llm_3"]}, (2, 1, 0)),
        ],
    )
    def test_ranker(self, ranker, ranks):
        annotation = self.annotated({"ranker": ranker})
        row = {"id": 1, "data": {"prompt": "Hi", "items": self.items}, "annotations": [annotation]}
        _, record = read(row)
        assert record.completions == tuple(
            GivenCompletion(b, f"LLM {n}") for n, b in enumerate("ABC", start=1)
        )
        assert [ranking.ranks for ranking in record.preferences] == [ranks]

    def test_other_results_say_nothing(self):
        row = {
            "data": self.data,
            "annotations": [self.annotated({"choices": ["good"]}), "x", {"result": None}],
        }
        assert read(row)[1].preferences == ()

    def test_two_texts_without_a_task(self):
        row = {"data": {"text1": "a", "text2": "b"}, "annotations": [self.annotated({"selected": "left"})]}
        with pytest.raises(FieldProblem, match="no task to compare them for"):
            read(row)
