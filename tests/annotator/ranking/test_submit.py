"""A judgment is stored exactly once, only if it fits, and never changed afterwards."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotator.models import Assignment, Comparison, Completion, Ranking, Verdict
from annotator.ranking import queue
from annotator.ranking.judgments import InvalidJudgment, Judgment, LeaseLost
from annotator.ranking.submit import skip, submit, undo
from tests.factories import make_comparison, make_guideline, make_member, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(project, bob):
    make_comparison(project)
    return queue.claim_next(annotator=bob, project=project)


def first_wins(assignment, **values):
    return Judgment(ranks={pk: place for place, pk in enumerate(assignment.order, start=1)}, **values)


def end_lease(assignment):
    Assignment.objects.filter(pk=assignment.pk).update(leased_until=timezone.now() - timedelta(seconds=1))
    queue.sweep_expired()


def test_it_stores_all_that_was_said(project, bob, held):
    make_guideline(project)
    make_guideline(project)
    project.attribute_scales = ["clarity"]
    project.save()
    a, b = held.order
    ranking = submit(
        assignment=held,
        judgment=Judgment(
            ranks={a: 1, b: 2},
            strength=3,
            flags={b: ["biased", "broken", "biased"], a: []},
            ratings={a: {"clarity": 5}},
            rationale=" It says more.\r\n\x00 ",
            seconds=12.5,
        ),
        idempotency_key="key",
    )
    stored = Ranking.objects.get()
    assert stored == ranking
    assert stored.ranks == ranking.ranks == {str(a): 1, str(b): 2}
    assert stored.flags == {str(b): ["biased", "broken"]}
    assert stored.ratings == {str(a): {"clarity": 5}}
    assert (stored.strength, stored.rationale, stored.seconds) == (3, "It says more.", 12.5)
    assert (stored.order, stored.guideline_version, stored.is_live) == ([a, b], 2, True)
    assert not stored.is_simulated
    held.refresh_from_db()
    assert held.state == Assignment.State.SUBMITTED
    assert held.comparison.judgments_taken == 1


def test_what_simulated_annotators_say_is_marked(project):
    make_comparison(project)
    robot = make_member(project, user=make_user("robot", is_simulated=True))
    held = queue.claim_next(annotator=robot, project=project)
    assert submit(assignment=held, judgment=first_wins(held), idempotency_key="k").is_simulated


def test_the_same_key_gives_the_same_row(held):
    one = submit(assignment=held, judgment=first_wins(held), idempotency_key="key")
    two = submit(assignment=held, judgment=Judgment(verdict=Verdict.ALL_BAD), idempotency_key="key")
    assert one == two
    assert two.verdict == Verdict.RANKED
    assert Ranking.objects.count() == 1


def test_a_key_is_good_for_one_comparison(project, bob, held):
    submit(assignment=held, judgment=first_wins(held), idempotency_key="key")
    make_comparison(project)
    other = queue.claim_next(annotator=bob, project=project)
    with pytest.raises(InvalidJudgment, match="another judgment"):
        submit(assignment=other, judgment=first_wins(other), idempotency_key="key")


def test_two_people_may_use_the_same_key(project, bob, carol):
    make_comparison(project, wanted=2)
    for person in (bob, carol):
        held = queue.claim_next(annotator=person, project=project)
        submit(assignment=held, judgment=first_wins(held), idempotency_key="key")
    assert Ranking.objects.live().count() == 2


def test_another_key_does_not_judge_again(held):
    submit(assignment=held, judgment=first_wins(held), idempotency_key="one")
    with pytest.raises(LeaseLost, match="judged this one already"):
        submit(assignment=held, judgment=first_wins(held), idempotency_key="two")


@pytest.mark.parametrize("key", ["", "x" * 65])
def test_it_rejects_a_key_that_is_none(held, key):
    with pytest.raises(InvalidJudgment, match="1 to 64"):
        submit(assignment=held, judgment=first_wins(held), idempotency_key=key)


def test_ties_are_allowed_and_ranks_have_no_gaps(project, bob):
    make_comparison(project, k=4)
    held = queue.claim_next(annotator=bob, project=project)
    a, b, c, d = held.order
    ranking = submit(assignment=held, judgment=Judgment(ranks={a: 2, b: 4, c: 2, d: 4}), idempotency_key="k")
    assert ranking.ranks == {str(a): 1, str(b): 2, str(c): 1, str(d): 2}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ranks": {}}, "Rank each"),
        ({"ranks": {"a": 1}}, "Rank each"),
        ({"ranks": {"a": 1, "b": 2, 0: 2}}, "Rank each"),
        ({"ranks": {"a": 0, "b": 1}}, "from 1 to 2"),
        ({"ranks": {"a": 1, "b": 3}}, "from 1 to 2"),
        ({"ranks": {"a": 1, "b": True}}, "from 1 to 2"),
        ({"ranks": {"a": 1, "b": 1.5}}, "from 1 to 2"),
        ({"ranks": {"a": 1, "b": 2}, "strength": 0}, "strength"),
        ({"ranks": {"a": 1, "b": 2}, "strength": 4}, "strength"),
        ({"ranks": {"a": 1, "b": 1}, "strength": 1}, "strength"),
        ({"verdict": "all_bad", "strength": 1}, "strength"),
        ({"verdict": "all_bad", "ranks": {"a": 1}}, "Rank each"),
        ({"verdict": "cannot_judge"}, "Say why"),
        ({"verdict": "cannot_judge", "reason": " \u202e"}, "Say why"),
        ({"verdict": "cannot_judge", "reason": "?", "ranks": {"a": 1, "b": 2}}, "no ranks"),
        ({"verdict": "undone"}, "not a verdict"),
        ({"verdict": "perhaps"}, "not a verdict"),
        ({"ranks": {"a": 1, "b": 2}, "flags": {"a": ["ugly"]}}, "no flag “ugly”"),
        ({"ranks": {"a": 1, "b": 2}, "flags": {0: ["biased"]}}, "not shown"),
        ({"ranks": {"a": 1, "b": 2}, "ratings": {"a": {"wit": 3}}}, "no scale “wit”"),
        ({"ranks": {"a": 1, "b": 2}, "ratings": {"a": {"clarity": 6}}}, "from 1 to 5"),
        ({"ranks": {"a": 1, "b": 2}, "rationale": "x" * 5001}, "longer than 5000"),
        ({"ranks": {"a": 1, "b": 2}, "improved_text": "x" * 20001}, "longer than 20000"),
        ({"ranks": {"a": 1, "b": 2}, "seconds": -1}, "seconds"),
        ({"ranks": {"a": 1, "b": 2}, "seconds": float("nan")}, "seconds"),
    ],
)
def test_it_rejects_what_does_not_fit_and_stores_nothing(project, held, values, message):
    project.attribute_scales = ["clarity"]
    project.save()
    ids = dict(zip("ab", held.order, strict=True))
    for name in ("ranks", "flags", "ratings"):
        if name in values:
            values = {**values, name: {ids.get(key, key): value for key, value in values[name].items()}}
    with pytest.raises(InvalidJudgment, match=message):
        submit(assignment=held, judgment=Judgment(**values), idempotency_key="k")
    assert not Ranking.objects.exists()
    held.refresh_from_db()
    assert held.state == Assignment.State.LEASED


def test_strength_only_where_the_project_asks(project, held):
    project.strength_scale = False
    project.save()
    with pytest.raises(InvalidJudgment, match="does not ask"):
        submit(assignment=held, judgment=first_wins(held, strength=1), idempotency_key="k")


def test_strength_only_for_pairs(project, bob):
    make_comparison(project, k=3)
    held = queue.claim_next(annotator=bob, project=project)
    with pytest.raises(InvalidJudgment, match="Only a pair"):
        submit(assignment=held, judgment=first_wins(held, strength=2), idempotency_key="k")


def test_all_bad_and_cannot_judge_count_as_judgments(project, bob, held):
    submit(assignment=held, judgment=Judgment(verdict=Verdict.ALL_BAD), idempotency_key="1")
    make_comparison(project)
    other = queue.claim_next(annotator=bob, project=project)
    said = Judgment(verdict=Verdict.CANNOT_JUDGE, reason="I do not know the language.")
    ranking = submit(assignment=other, judgment=said, idempotency_key="2")
    assert ranking.reason == "I do not know the language."
    assert queue.claim_next(annotator=bob, project=project) is None


def test_an_improved_text_becomes_a_completion_of_its_author(bob, held):
    submit(assignment=held, judgment=first_wins(held, improved_text=" Better. "), idempotency_key="k")
    better = Completion.objects.get(source=Completion.Source.EDITED)
    assert (better.text, better.author, better.prompt) == ("Better.", bob, held.comparison.prompt)


class TestLateSubmit:
    def test_it_is_taken_while_there_is_room(self, held):
        end_lease(held)
        ranking = submit(assignment=held, judgment=first_wins(held), idempotency_key="k")
        assert ranking.is_live
        held.comparison.refresh_from_db()
        assert held.comparison.judgments_taken == 1

    def test_it_is_taken_where_the_lease_has_ended_but_nobody_noticed(self, held):
        Assignment.objects.filter(pk=held.pk).update(leased_until=timezone.now() - timedelta(hours=1))
        submit(assignment=held, judgment=first_wins(held), idempotency_key="k")
        assert queue.sweep_expired() == 0
        held.comparison.refresh_from_db()
        assert held.comparison.judgments_taken == 1

    def test_it_is_refused_when_somebody_else_has_the_place(self, project, carol, held):
        end_lease(held)
        queue.claim_next(annotator=carol, project=project)
        with pytest.raises(LeaseLost, match="others have judged"):
            submit(assignment=held, judgment=first_wins(held), idempotency_key="k")
        assert not Ranking.objects.exists()

    def test_it_uses_the_place_of_ones_own_newer_lease(self, project, bob, held):
        end_lease(held)
        again = queue.claim_next(annotator=bob, project=project)
        assert again != held
        submit(assignment=held, judgment=first_wins(held), idempotency_key="k")
        again.refresh_from_db()
        assert again.state == Assignment.State.RELEASED
        held.comparison.refresh_from_db()
        assert held.comparison.judgments_taken == 1
        with pytest.raises(LeaseLost, match="already"):
            submit(assignment=again, judgment=first_wins(again), idempotency_key="k2")

    def test_a_skipped_one_stays_skipped(self, held):
        skip(assignment=held, reason="no idea")
        with pytest.raises(LeaseLost, match="skipped"):
            submit(assignment=held, judgment=first_wins(held), idempotency_key="k")

    def test_a_closed_comparison_takes_what_was_begun_but_nothing_late(self, project, bob, held):
        Comparison.objects.update(is_closed=True)
        submit(assignment=held, judgment=first_wins(held), idempotency_key="k")
        make_comparison(project)
        late = queue.claim_next(annotator=bob, project=project)
        Comparison.objects.update(is_closed=True)
        end_lease(late)
        with pytest.raises(LeaseLost):
            submit(assignment=late, judgment=first_wins(late), idempotency_key="k2")


class TestUndo:
    def test_it_adds_a_row_and_gives_the_lease_back(self, project, bob, held):
        ranking = submit(assignment=held, judgment=first_wins(held), idempotency_key="1")
        undone = undo(annotator=bob, ranking=ranking, idempotency_key="2")
        assert (undone.verdict, undone.is_live, undone.supersedes) == (Verdict.UNDONE, False, ranking)
        ranking.refresh_from_db()
        assert (ranking.is_live, ranking.verdict) == (False, Verdict.RANKED)
        again = queue.claim_next(annotator=bob, project=project)
        assert (again.pk, again.order) == (held.pk, held.order)
        assert again.leased_until > timezone.now()
        held.comparison.refresh_from_db()
        assert held.comparison.judgments_taken == 1

    def test_what_follows_is_one_chain(self, bob, held):
        first = submit(assignment=held, judgment=first_wins(held), idempotency_key="1")
        undone = undo(annotator=bob, ranking=first, idempotency_key="2")
        second = submit(assignment=held, judgment=Judgment(verdict="all_bad"), idempotency_key="3")
        assert second.supersedes == undone
        assert list(Ranking.objects.live()) == [second]

    def test_the_same_key_undoes_once(self, bob, held):
        first = submit(assignment=held, judgment=first_wins(held), idempotency_key="1")
        undone = undo(annotator=bob, ranking=first, idempotency_key="2")
        second = submit(assignment=held, judgment=first_wins(held), idempotency_key="3")
        assert undo(annotator=bob, ranking=first, idempotency_key="2") == undone
        second.refresh_from_db()
        assert second.is_live

    def test_another_key_is_told_so(self, bob, held):
        ranking = submit(assignment=held, judgment=first_wins(held), idempotency_key="1")
        undo(annotator=bob, ranking=ranking, idempotency_key="2")
        with pytest.raises(InvalidJudgment, match="undone already"):
            undo(annotator=bob, ranking=ranking, idempotency_key="3")

    def test_a_judgments_key_undoes_nothing(self, bob, held):
        ranking = submit(assignment=held, judgment=first_wins(held), idempotency_key="1")
        with pytest.raises(InvalidJudgment, match="another judgment"):
            undo(annotator=bob, ranking=ranking, idempotency_key="1")

    def test_others_judgments_are_theirs(self, carol, held):
        ranking = submit(assignment=held, judgment=first_wins(held), idempotency_key="1")
        with pytest.raises(InvalidJudgment, match="your own"):
            undo(annotator=carol, ranking=ranking, idempotency_key="2")
        ranking.refresh_from_db()
        assert ranking.is_live

    def test_the_improved_text_goes_with_it(self, bob, held):
        ranking = submit(assignment=held, judgment=first_wins(held, improved_text="B."), idempotency_key="1")
        undo(annotator=bob, ranking=ranking, idempotency_key="2")
        assert not Completion.objects.filter(text="B.").exists()

    def test_an_improved_text_that_is_being_compared_stays(self, project, bob, held):
        ranking = submit(assignment=held, judgment=first_wins(held, improved_text="B."), idempotency_key="1")
        better = Completion.objects.get(text="B.")
        make_comparison(project, completions=[better, Completion.objects.get(pk=held.order[0])])
        undo(annotator=bob, ranking=ranking, idempotency_key="2")
        assert Completion.objects.filter(text="B.").exists()


class TestSkip:
    def test_it_keeps_the_reason(self, held):
        skip(assignment=held, reason=" no\x00 idea ")
        held.refresh_from_db()
        assert (held.state, held.skip_reason) == (Assignment.State.SKIPPED, "no idea")
        skip(assignment=held, reason="again")
        held.comparison.refresh_from_db()
        assert held.comparison.judgments_taken == 0

    def test_it_counts_after_the_lease_has_ended(self, project, bob, held):
        end_lease(held)
        skip(assignment=held, reason="no idea")
        assert queue.claim_next(annotator=bob, project=project) is None

    def test_a_judged_one_cannot_be_skipped(self, held):
        submit(assignment=held, judgment=first_wins(held), idempotency_key="1")
        with pytest.raises(InvalidJudgment, match="Undo"):
            skip(assignment=held, reason="no")
