"""What is selected, how it is split, and up to where: plain values that say which field is wrong."""

import hashlib
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from annotator.exports import writing
from annotator.exports.checking import InvalidRequest
from annotator.exports.export import lines_of
from annotator.exports.formats import FORMATS
from annotator.exports.reading import Reader
from annotator.exports.recipe import Recipe
from annotator.exports.selection import Frozen, Selection, SplitPlan
from annotator.models import Completion, Membership, QualityReport, Ranking
from annotator.pseudonyms import pseudonym
from annotator.ranking import queue
from annotator.ranking.adjudication import adjudicate
from annotator.ranking.judgments import Judgment
from annotator.ranking.submit import undo
from tests.factories import (
    make_comparison,
    make_completions,
    make_member,
    make_project,
    make_prompt,
    make_ranking,
    make_user,
)


def taken(project, format="raw", withdrawn=frozenset(), rule="vote", **selection):
    """The rows that the selection takes."""
    recipe = Recipe(format, rule=rule, selection=Selection(**selection))
    reader = Reader(project, recipe.selection, Frozen.now(project), withdrawn)
    return [line.row for _, line in lines_of(recipe, reader)]


def rankings(rows):
    return [row["ranking"] for row in rows]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"iteration_from": -1}, "iteration_from"),
        ({"iteration_from": True}, "iteration_from"),
        ({"iteration_from": 3, "iteration_to": 2}, "iteration_to"),
        ({"given_from": "soon"}, "given_from"),
        ({"given_from": "2026-01-01T00:00:00"}, "given_from"),
        ({"given_before": 5}, "given_before"),
        ({"given_from": "2026-02-01T00:00:00Z", "given_before": "2026-01-01T00:00:00Z"}, "given_before"),
        ({"min_reliability": 1.5}, "min_reliability"),
        ({"min_agreement": "high"}, "min_agreement"),
        ({"min_agreement": float("nan")}, "min_agreement"),
        ({"domains": "writing"}, "domains"),
        ({"domains": ["cooking"]}, "domains"),
        ({"languages": [1]}, "languages"),
        ({"sources": ["dreamt"]}, "sources"),
        ({"judgments": "true"}, "judgments"),
        ({"held_out": None}, "held_out"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_filter_is_named(values, field):
    with pytest.raises(InvalidRequest) as error:
        Selection.from_json(values)
    assert error.value.field == field
    assert str(error.value).startswith(f"{field}: ")


@pytest.mark.parametrize(
    "values", [{"train": 0.5}, {"train": 1.2, "test": -0.2}, {"train": None}, {"dev": 1}, 3]
)
def test_shares_must_add_up(values):
    with pytest.raises(InvalidRequest):
        SplitPlan.from_json(values)


def test_what_is_written_down_is_read_back():
    selection = Selection(
        iteration_from=2,
        given_before=datetime(2026, 1, 1, tzinfo=UTC),
        domains=("writing", "code"),
        judgments="real",
        held_out="exclude",
    )
    assert selection.to_json()["domains"] == ["code", "writing"]
    assert Selection.from_json(selection.to_json()) == selection
    assert Selection().to_json() == {}
    for recipe in (
        Recipe("trl", rule="weighted", selection=selection, splits=SplitPlan(0.8, 0.1, 0.1), gzip=True),
        Recipe("argilla"),
        Recipe("raw", file_type="parquet", license="mit"),
    ):
        assert Recipe.from_json(recipe.to_json()) == recipe
    frozen = Frozen(7, datetime(2026, 1, 1, tzinfo=UTC), {"annotator-1": 0.5})
    assert Frozen.from_json(frozen.to_json()) == frozen


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "format"),
        ({"format": "xml"}, "format"),
        ({"format": "raw", "rule": "majority"}, "rule"),
        ({"format": "arena", "file_type": "csv"}, "file_type"),
        ({"format": "trl", "file_type": "parquet", "gzip": True}, "gzip"),
        ({"format": "llama-factory-alpaca", "gzip": True}, "gzip"),
        ({"format": "trl", "gzip": "yes"}, "gzip"),
        ({"format": "trl", "license": "mine"}, "license"),
        ({"format": "trl", "selection": {"domains": 1}}, "domains"),
        ({"format": "trl", "selection": []}, "selection"),
        ([], "recipe"),
    ],
)
def test_a_wrong_recipe_is_named(values, field):
    with pytest.raises(InvalidRequest) as error:
        Recipe.from_json(values)
    assert error.value.field == field


@pytest.mark.parametrize("values", [{}, {"last_ranking": 1}, {"last_ranking": 1, "at": "x"}, []])
def test_a_frozen_state_needs_its_end(values):
    with pytest.raises(InvalidRequest):
        Frozen.from_json(values)


def test_shares_come_out_and_no_held_out_task_is_trained_on():
    plan = SplitPlan(0.7, 0.2, 0.1)
    hashes = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(20_000)]
    counts = {"train": 0, "validation": 0, "test": 0}
    for value in hashes:
        counts[plan.split_of(value, is_held_out=False)] += 1
        assert plan.split_of(value, is_held_out=True) == "test"
    assert counts["train"] == pytest.approx(14_000, abs=250)
    assert counts["validation"] == pytest.approx(4_000, abs=250)
    held_out = [value for value in hashes if int(value[:8], 16) < 0.1 * 2**32]
    trained = sum(plan.split_of(value, is_held_out=False) == "train" for value in held_out)
    assert trained / len(held_out) == pytest.approx(0.7, abs=0.05), "the digits that hold out do not decide"


def test_more_training_data_moves_no_task_out_of_it():
    small, large = SplitPlan(0.5, 0.25, 0.25), SplitPlan(0.8, 0.1, 0.1)
    for n in range(500):
        value = hashlib.sha256(str(n).encode()).hexdigest()
        if small.split_of(value, is_held_out=False) == "train":
            assert large.split_of(value, is_held_out=False) == "train"
    assert {SplitPlan().split_of(f"{'f' * 64}", is_held_out=False)} == {"train"}


@pytest.mark.django_db
class TestFilters:
    def test_iterations_with_both_ends(self, project, bob):
        given = []
        for iteration in (1, 2, 3):
            make_comparison(project, iteration=iteration)
            given.append(make_ranking(project, bob).pk)
        assert rankings(taken(project, iteration_from=2)) == given[1:]
        assert rankings(taken(project, iteration_to=2)) == given[:2]
        assert rankings(taken(project, iteration_from=2, iteration_to=2)) == given[1:2]

    def test_times_without_the_end(self, project, bob):
        given = []
        for day in (1, 2, 3):
            make_comparison(project)
            pk = make_ranking(project, bob).pk
            Ranking.objects.filter(pk=pk).update(created_at=datetime(2026, 1, day, tzinfo=UTC))
            given.append(pk)
        assert rankings(taken(project, given_from="2026-01-02T00:00:00Z")) == given[1:]
        assert rankings(taken(project, given_before="2026-01-02T00:00:00Z")) == given[:1]

    def test_domain_language_and_held_out(self, project, bob):
        prompts = [
            make_prompt(project, domain="code", language="en"),
            make_prompt(project, domain="writing", language="zh-hans"),
        ]
        for prompt in prompts:
            make_comparison(project, prompt)
            make_ranking(project, bob)
        type(prompts[0]).objects.filter(pk=prompts[0].pk).update(is_held_out=True)
        type(prompts[0]).objects.filter(pk=prompts[1].pk).update(is_held_out=False)
        assert [row["domain"] for row in taken(project, domains=["code"])] == ["code"]
        assert [row["language"] for row in taken(project, languages=["zh-hans"])] == ["zh-hans"]
        assert [row["held_out"] for row in taken(project, held_out="only")] == [True]
        assert [row["held_out"] for row in taken(project, held_out="exclude")] == [False]
        assert len(taken(project)) == 2

    def test_sources_of_all_that_was_shown(self, project, bob):
        for source in (Completion.Source.MODEL, Completion.Source.IMPORTED):
            prompt = make_prompt(project)
            make_comparison(project, completions=make_completions(prompt, source=source))
            make_ranking(project, bob)
        mixed = make_prompt(project)
        texts = make_completions(mixed, 1) + make_completions(mixed, 1, source=Completion.Source.IMPORTED)
        make_comparison(project, completions=texts)
        make_ranking(project, bob)
        assert len(taken(project, sources=["model"])) == 1
        assert len(taken(project, sources=["model", "imported"])) == 3
        (row,) = taken(project, "trl", sources=["imported"])
        assert (row["chosen_source"], row["rejected_source"]) == ("imported", "imported")

    def test_who_judged(self, project, bob):
        robot = make_member(project, user=make_user("robot", is_simulated=True))
        for person in (bob, robot):
            make_comparison(project)
            make_ranking(project, person)
        assert [row["simulated"] for row in taken(project, judgments="real")] == [False]
        assert [row["simulated"] for row in taken(project, judgments="simulated")] == [True]
        assert taken(project, judgments="imported") == []

    def test_reliability_that_is_not_known_does_not_pass(self, project, bob, carol):
        dave = make_member(project)
        for person in (bob, carol, dave):
            make_comparison(project)
            make_ranking(project, person)
        Membership.objects.filter(project=project, user=bob).update(reliability=0.9)
        Membership.objects.filter(project=project, user=carol).update(reliability=0.6)
        (row,) = taken(project, min_reliability=0.8)
        assert row["annotator"] == pseudonym(project, bob.pk)
        assert len(taken(project, min_reliability=0.6)) == 2

    def test_the_quality_reports_reliability_comes_first(self, project, bob):
        Membership.objects.filter(project=project, user=bob).update(reliability=0.9)
        figures = {"people": {str(bob.pk): {"reliability": {"value": 0.7}}}}
        QualityReport.objects.create(
            project=project, last_ranking=0, figures=figures, seconds=0, computed_at=timezone.now()
        )
        assert Frozen.now(project).reliability == {pseudonym(project, bob.pk): 0.7}

    def test_agreement_of_the_comparison(self, project, bob, carol):
        """Three texts, one of whose three pairs the two order differently: 2/3."""
        project.completions_per_comparison = 3
        project.save()
        comparison = make_comparison(project, wanted=2)
        first, second, third = sorted(comparison.slots.values_list("completion", flat=True))
        make_ranking(project, bob, ranks={first: 1, second: 2, third: 3})
        make_ranking(project, carol, ranks={first: 2, second: 1, third: 3})
        make_comparison(project)
        make_ranking(project, bob)
        assert len(taken(project, min_agreement=0.66)) == 2
        assert taken(project, min_agreement=0.67) == []
        assert len(taken(project)) == 3, "one judgment alone has no agreement, and passes where none is asked"


@pytest.mark.django_db
class TestFrozen:
    def test_later_judgments_and_undoing_change_nothing(self, project, bob, carol, alice, exported):
        comparison = make_comparison(project, wanted=2)
        first = make_ranking(project, bob, improved_text="Better.")
        frozen = Frozen.now(project)
        before = {name: exported(project, name, frozen=frozen) for name in FORMATS if name != "arena"}
        make_ranking(project, carol, first=1)
        ids = sorted(comparison.slots.values_list("completion", flat=True))
        adjudicate(
            comparison=comparison,
            manager=alice,
            judgment=Judgment(ranks={ids[0]: 2, ids[1]: 1}),
            idempotency_key="d",
        )
        undo(annotator=bob, ranking=first, idempotency_key="u")
        assert not Completion.objects.filter(text="Better.").exists()
        for name, (folder, manifest) in before.items():
            again, repeated = exported(project, name, frozen=Frozen.from_json(frozen.to_json()))
            assert repeated == manifest
            for file in ("README.md", "croissant.json", "manifest.json", manifest.files[0].path):
                assert (folder / file).read_bytes() == (again / file).read_bytes(), (name, file)
        now = writing.rows(project, format="trl")
        assert [row["chosen_id"] for row in now] == [ids[1]], "and now the decision alone counts"

    def test_other_projects_judgments_are_not_waited_for(self, project, bob):
        make_comparison(project)
        ranking = make_ranking(project, bob)
        other = make_project()
        make_comparison(other)
        make_ranking(other, make_member(other))
        assert Frozen.now(project).last_ranking > ranking.pk
        assert rankings(taken(project)) == [ranking.pk]


@pytest.mark.django_db
class TestWithdrawn:
    def test_their_judgments_are_left_out_and_counted(self, project, bob, carol, exported):
        make_comparison(project, wanted=2)
        make_ranking(project, bob)
        make_ranking(project, carol, first=1)
        folder, manifest = exported(project, "raw", withdrawn={bob.pk})
        assert manifest.withdrawn == {"judgments": 1, "annotators": 1, "texts": 0}
        assert manifest.counts["rankings"] == 1
        written = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
        assert pseudonym(project, bob.pk) not in written
        assert "1 judgments of 1 annotators" in (folder / "README.md").read_text()

    def test_what_the_filters_leave_out_is_not_counted(self, project, bob, carol, exported):
        for person in (bob, carol):
            make_comparison(project, iteration=1 if person == bob else 2)
            make_ranking(project, person)
        _, manifest = exported(project, "raw", withdrawn={bob.pk}, selection=Selection(iteration_from=2))
        assert manifest.withdrawn == {"judgments": 0, "annotators": 0, "texts": 0}

    def test_the_texts_they_wrote_go_from_others_judgments(self, project, bob, carol):
        prompt = make_prompt(project)
        model, imported = make_completions(prompt, 2)
        queue.add_completions(prompt=prompt, texts=["Bob's own."], source="edited", iteration=1, author=bob)
        own = Completion.objects.get(text="Bob's own.")
        project.completions_per_comparison = 3
        project.save()
        make_comparison(project, completions=[model, imported, own])
        make_ranking(project, carol, ranks={own.pk: 1, model.pk: 2, imported.pk: 3})
        assert len(taken(project, "trl")) == 3
        (row,) = taken(project, "trl", withdrawn={bob.pk})
        assert (row["chosen_id"], row["rejected_id"]) == (model.pk, imported.pk)
        (raw,) = taken(project, "raw", withdrawn={bob.pk})
        assert {shown["id"]: shown["text"] for shown in raw["completions"]}[own.pk] is None
        assert "Bob's own." not in str(taken(project, "ultrafeedback", withdrawn={bob.pk}))

    def test_a_withdrawn_decision_lets_the_votes_count_again(self, project, alice, bob):
        comparison = make_comparison(project)
        ranking = make_ranking(project, bob)
        ids = sorted(comparison.slots.values_list("completion", flat=True))
        adjudicate(
            comparison=comparison,
            manager=alice,
            judgment=Judgment(ranks={ids[0]: 2, ids[1]: 1}),
            idempotency_key="d",
        )
        (row,) = taken(project, "trl", withdrawn={alice.pk})
        assert row["rankings"] == [ranking.pk]

    def test_nothing_that_was_known_of_them_is_written(self, project, bob, carol, exported):
        for person in (bob, carol):
            make_comparison(project)
            make_ranking(project, person)
        Membership.objects.filter(project=project).update(reliability=0.9)
        _, manifest = exported(project, "raw", withdrawn={bob.pk}, selection=Selection(min_reliability=0.5))
        assert set(manifest.frozen["reliability"]) == {pseudonym(project, carol.pk)}
        _, plain = exported(project, "raw")
        assert plain.frozen["reliability"] == {}, "and of nobody where nothing depends on it"
