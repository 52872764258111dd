"""An import is undone as a whole, unless people have worked with some of it."""

import pytest

from annotator.models import Comparison, Completion, Event, Project, Prompt, PromptImport, Ranking, User
from annotator.prompts import aside, undoing
from annotator.prompts.records import GivenCompletion, GivenRanking, Record
from annotator.quality import gold
from annotator.ranking import queue, submit
from tests.factories import bring_in, make_comparison, make_completions, make_prompt, make_ranking

pytestmark = pytest.mark.django_db
State = PromptImport.State


def task(text, *texts, judged=False):
    completions = tuple(GivenCompletion(text) for text in texts)
    preferences = (GivenRanking(tuple(range(1, len(texts) + 1)), annotator="ann"),) if judged else ()
    return Record(line=1, text=text, completions=completions, preferences=preferences)


def contents():
    """All that there is in the database of tasks and judgments."""
    return {
        "prompts": sorted(Prompt.objects.values_list("text", "project__slug")),
        "completions": sorted(Completion.objects.values_list("text", "prompt__text")),
        "comparisons": sorted(
            Comparison.objects.values_list("prompt__text", "rule", "judgments_taken", "judgments_wanted")
        ),
        "rankings": sorted(Ranking.objects.values_list("annotator__first_name", "comparison__prompt__text")),
        "people": sorted(User.objects.values_list("username", flat=True)),
        "projects": sorted(Project.all_objects.values_list("slug", flat=True)),
    }


def test_all_that_it_brought_goes_at_once_and_then_for_good(project, alice):
    make_comparison(project)
    before = contents()
    batch = bring_in(project, [task("P", "a", "b"), task("Q", "c", "d", judged=True), task("R")])
    assert undoing.brought_by(batch) == undoing.Brought(
        prompts=3,
        completions=4,
        written_since=0,
        comparisons=2,
        rankings=1,
        used=0,
        judged=0,
        held=0,
        joined=0,
        judging=0,
    )
    undoing.undo(batch, alice)
    assert project.prompts.count() == project.comparisons.count() == 1
    batch.refresh_from_db()
    assert batch.state == State.UNDONE
    assert Event.objects.first().verb == "undid the import of"
    aside.clear_left(60)
    assert contents() == before


def test_it_can_be_imported_again(project, alice):
    records = [task("P", "a", "b"), task("Q", "c", "d", judged=True)]
    batch = bring_in(project, records)
    first = contents()
    undoing.undo(batch, alice)
    bring_in(project, records)  # while the old rows still lie out of sight
    aside.clear_left(60)
    assert contents() == first


def test_what_joined_tasks_of_others_goes_and_the_tasks_stay(project, alice):
    bring_in(project, [task("P", "a", "b", judged=True)])
    before = contents()
    batch = bring_in(project, [task("P", "a", "b", "c", judged=True), task("P", "d", "e")])
    assert Completion.objects.filter(prompt__text="P").count() == 5
    undoing.undo(batch, alice)
    assert set(project.prompts.get().completions.values_list("text", flat=True)) == {"a", "b"}
    aside.clear_left(60)
    assert contents() == before


def test_a_judgment_that_joined_a_comparison_of_others_goes_alone(project, alice):
    first = task("P", "a", "b", judged=True)
    bring_in(project, [first])
    before = contents()
    again = Record(
        line=1, text="P", completions=first.completions, preferences=(GivenRanking((2, 1), annotator="bea"),)
    )
    batch = bring_in(project, [again])
    assert Comparison.objects.get().judgments_taken == 2
    undoing.undo(batch, alice)
    aside.clear_left(60)
    assert contents() == before


def test_it_is_refused_where_people_judged_and_says_what(project, alice, bob):
    batch = bring_in(project, [task("P", "a", "b"), task("Q", "c", "d")])
    make_ranking(project, bob)
    before = contents()
    with pytest.raises(undoing.InUse) as refused:
        undoing.undo(batch, alice)
    assert (refused.value.brought.used, refused.value.brought.judged, refused.value.brought.prompts) == (
        1,
        1,
        1,
    )
    batch.refresh_from_db()
    assert (batch.state, contents()) == (State.DONE, before)


def test_what_people_judged_can_be_kept(project, alice, bob):
    batch = bring_in(project, [task("P", "a", "b"), task("Q", "c", "d")])
    judged = make_ranking(project, bob).comparison
    undoing.undo(batch, alice, keep_used=True)
    assert list(project.prompts.all()) == [judged.prompt]
    assert list(project.comparisons.all()) == [judged]
    batch.refresh_from_db()
    assert (batch.state, batch.counts["kept"]) == (State.UNDONE, 1)
    aside.clear_left(60)
    assert Ranking.objects.count() == 1
    assert Completion.objects.count() == 2


def test_a_judgment_that_was_taken_back_counts_too(project, alice, bob):
    batch = bring_in(project, [task("P", "a", "b")])
    ranking = make_ranking(project, bob)
    submit.undo(annotator=bob, ranking=ranking, idempotency_key="undo")
    queue.release(queue.claim_next(annotator=bob, project=project))
    with pytest.raises(undoing.InUse):
        undoing.undo(batch, alice)


def test_what_somebody_has_open_is_in_use(project, alice, bob):
    batch = bring_in(project, [task("P", "a", "b")])
    queue.claim_next(annotator=bob, project=project)
    with pytest.raises(undoing.InUse) as refused:
        undoing.undo(batch, alice)
    assert refused.value.brought.held == 1


def test_gold_questions_are_in_use(project, alice):
    batch = bring_in(project, [task("P", "a", "b")])
    comparison = project.comparisons.get()
    first, second = comparison.completions.all()
    gold.make(comparison, ranks={first.pk: 1, second.pk: 2})
    with pytest.raises(undoing.InUse):
        undoing.undo(batch, alice)


def test_a_joined_text_that_people_judged_stays(project, alice, bob):
    make_prompt(project, "P")
    batch = bring_in(project, [task("P", "a", "b")])
    make_ranking(project, bob)
    with pytest.raises(undoing.InUse):
        undoing.undo(batch, alice)
    undoing.undo(batch, alice, keep_used=True)
    aside.clear_left(60)
    assert project.prompts.get().completions.count() == 2
    assert project.comparisons.count() == 1


def test_what_a_later_import_added_to_stays(project, alice):
    first = bring_in(project, [task("P", "a", "b"), task("Q", "c", "d")])
    bring_in(project, [task("P", "e", "f")])
    with pytest.raises(undoing.InUse) as refused:
        undoing.undo(first, alice)
    assert (refused.value.brought.used, refused.value.brought.joined) == (1, 1)


def test_what_a_model_wrote_for_its_tasks_goes_too_and_is_counted(project, alice):
    batch = bring_in(project, [task("P")])
    make_completions(project.prompts.get(), 3)
    assert undoing.brought_by(batch).written_since == 3
    undoing.undo(batch, alice)
    aside.clear_left(60)
    assert not Completion.objects.exists()


def test_only_what_is_done_can_be_undone_and_only_once(project, alice):
    batch = bring_in(project, [task("P")])
    undoing.undo(batch, alice)
    with pytest.raises(undoing.NotDone):
        undoing.undo(batch, alice)


def test_removing_goes_on_where_time_ran_out(project, alice, monkeypatch):
    monkeypatch.setattr(aside, "CHUNK", 2)
    batch = bring_in(project, [task(f"P{n}", "a", "b") for n in range(7)])
    undoing.undo(batch, alice)
    sweeps = 0
    while Project.all_objects.exclude(aside_of=None).exists():
        aside.clear_left(0)
        sweeps += 1
    assert sweeps > 3
    assert not Prompt.objects.exists()
