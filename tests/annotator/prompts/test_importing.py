"""An import brings all of a file or nothing, once, and says what it did."""

import json
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from annotator import tasks
from annotator.models import Comparison, Completion, Event, Prompt, PromptImport
from annotator.prompts import importing
from annotator.prompts.importing import cancel_import, chain, create_import, run_import, send_import
from annotator.prompts.reading import ImportProblem

pytestmark = pytest.mark.django_db
State = PromptImport.State


def start(project, content, user=None, **values):
    file = ContentFile(content if isinstance(content, bytes) else content.encode(), name="tasks.txt")
    return create_import(
        project=project,
        name="tasks.txt",
        file=file,
        user=user,
        default_domain="general",
        send=False,
        **values,
    )


def bring(project, content, user=None):
    batch = start(project, content, user)
    run_import(batch.pk)
    batch.refresh_from_db()
    return batch


def jsonl(*rows):
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def test_tasks(project, alice):
    batch = bring(
        project,
        jsonl(
            {"text": "Antonyms", "domain": "code", "examples": [{"input": "hot", "output": "cold"}], "id": 1},
            {"text": "请写出反义词"},
            {"text": " Antonyms", "domain": "code", "examples": [{"input": "hot", "output": "cold"}]},
        ),
        alice,
    )
    assert (batch.state, batch.error, batch.format) == (State.DONE, "", "jsonl-tasks")
    counts = batch.counts
    assert (counts["lines"], counts["prompts"], counts["repeated"], counts["known"]) == (3, 2, 1, 0)
    assert counts["languages"] == {"en": 1, "zh-hans": 1}
    assert counts["domains"] == {"code": 1, "general": 1}
    assert counts["ignored_fields"] == {"id": 1}
    first, second = Prompt.objects.order_by("pk")
    assert (first.text, first.domain, first.batch) == ("Antonyms", "code", batch)
    assert (second.language, second.domain) == ("zh-hans", "general")
    assert counts["held_out"] == Prompt.objects.filter(is_held_out=True).count()
    assert Event.objects.get().actor == alice


def test_pairs_become_completions_and_comparisons(project):
    batch = bring(
        project,
        "text\tlabel\nSay the opposite.\tAntonyms\nGive an antonym.\tAntonyms\nSay  the opposite.\tAntonyms\n"
        "Translate it.\tTo French\n",
    )
    assert (batch.state, batch.format) == (State.DONE, "tsv-pairs")
    counts = batch.counts
    assert (counts["prompts"], counts["completions"], counts["repeated"]) == (2, 3, 1)
    assert counts["comparisons"] == 1
    comparison = Comparison.objects.get()
    assert comparison.prompt.text == "Antonyms"
    assert {row.text for row in comparison.completions.all()} == {"Say the opposite.", "Give an antonym."}
    assert {row.source for row in Completion.objects.all()} == {Completion.Source.IMPORTED}
    assert all(row.batch == batch for row in Completion.objects.all())


def test_the_same_file_again_brings_nothing(project):
    content = "a\tb\nc\tb\n"
    bring(project, content)
    again = bring(project, content)
    assert again.state == State.DONE
    assert (again.counts["prompts"], again.counts["known"]) == (0, 1)
    assert (again.counts["completions"], again.counts["completions_known"]) == (0, 2)
    assert again.counts["comparisons"] == 0
    assert (Prompt.objects.count(), Completion.objects.count(), Comparison.objects.count()) == (1, 2, 1)


def test_new_instructions_join_a_task_that_is_there(project):
    bring(project, "a\tb\n")
    batch = bring(project, "c\tb\nd\tb\n")
    assert (batch.counts["known"], batch.counts["completions"], batch.counts["comparisons"]) == (1, 2, 3)
    assert Prompt.objects.get().batch != batch


def test_two_projects_may_have_the_same_task(project):
    from tests.factories import make_project

    bring(project, "a\tb\n")
    assert bring(make_project(), "a\tb\n").counts["prompts"] == 1


def test_a_bad_line_imports_nothing_and_is_named(project):
    batch = bring(project, "a\tb\nc\td\nonly one column\n")
    assert batch.state == State.FAILED
    assert batch.error == "Line 3: 1 columns instead of two: an instruction, a tab, a task."
    assert batch.finished_at is not None
    assert not Prompt.objects.exists()
    assert not Completion.objects.exists()


def test_an_error_while_storing_leaves_nothing(project, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(importing.queue, "add_comparisons", fail)
    batch = start(project, "a\tb\nc\tb\n")
    with pytest.raises(RuntimeError):
        run_import(batch.pk)
    batch.refresh_from_db()
    assert batch.state == State.FAILED
    assert "the disk is full" in batch.error
    assert not Prompt.objects.exists()


def test_it_runs_once(project):
    batch = bring(project, "a\tb\n")
    Prompt.objects.all().delete()
    Completion.objects.all().delete()
    run_import(batch.pk)
    assert not Prompt.objects.exists()


def test_a_cancelled_import_brings_nothing(project):
    batch = start(project, "a\tb\n")
    assert cancel_import(batch)
    run_import(batch.pk)
    assert not Prompt.objects.exists()
    assert not cancel_import(batch)


def test_an_import_that_is_cancelled_while_it_stores_brings_nothing(project, monkeypatch):
    batch = start(project, "a\tb\n")
    store = importing._store

    def cancelled_meanwhile(*args):
        counts = store(*args)
        cancel_import(batch)
        return counts

    monkeypatch.setattr(importing, "_store", cancelled_meanwhile)
    run_import(batch.pk)
    assert not Prompt.objects.exists()


def test_whoever_lost_the_import_to_another_worker_stores_nothing(project, monkeypatch):
    batch = start(project, "a\tb\n")
    store = importing._store

    def taken_over_meanwhile(*args):
        counts = store(*args)
        PromptImport.objects.filter(pk=batch.pk).update(claimed_at=timezone.now() + timedelta(seconds=1))
        return counts

    monkeypatch.setattr(importing, "_store", taken_over_meanwhile)
    run_import(batch.pk)
    assert not Prompt.objects.exists()


def test_progress_is_shown_while_it_reads(project, monkeypatch):
    monkeypatch.setattr(importing, "BEAT_SECONDS", 0)
    seen = []
    batch = start(project, "a\tb\nc\td\n")

    def look(read, lines):
        seen.append((read, lines, PromptImport.objects.get(pk=batch.pk).counts))

    run_import(batch.pk, look)
    assert seen == [(1, 2, {"lines": 2, "read": 1}), (2, 2, {"lines": 2, "read": 2})]


def test_an_interrupted_import_is_marked(project, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "_store", interrupt)
    batch = start(project, "a\tb\n")
    with pytest.raises(KeyboardInterrupt):
        run_import(batch.pk)
    batch.refresh_from_db()
    assert batch.state == State.CANCELLED


def test_an_import_whose_worker_died_starts_again(project):
    batch = start(project, "a\tb\n")
    stale = timezone.now() - timedelta(minutes=4)
    PromptImport.objects.filter(pk=batch.pk).update(state=State.RUNNING, claimed_at=stale, created_at=stale)
    assert importing.requeue_stale() == [batch.pk]
    run_import(batch.pk)
    assert Prompt.objects.count() == 1


def test_an_import_that_beats_is_left_alone(project):
    batch = start(project, "a\tb\n")
    PromptImport.objects.filter(pk=batch.pk).update(state=State.RUNNING, claimed_at=timezone.now())
    assert importing.requeue_stale() == []


def test_without_a_broker_it_waits_for_the_sweep(project, settings, caplog):
    batch = start(project, "a\tb\n")
    assert not send_import(batch.pk)
    assert "waits for the broker" in caplog.text
    PromptImport.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    tasks.sweep_imports()
    batch.refresh_from_db()
    assert batch.state == State.QUEUED


def test_the_task_carries_it_out(project):
    batch = start(project, "a\tb\n")
    tasks.import_file(batch.pk)
    assert Prompt.objects.count() == 1


def test_it_is_sent_when_the_transaction_commits(project, django_capture_on_commit_callbacks, monkeypatch):
    sent = []
    monkeypatch.setattr(importing, "send_import", sent.append)
    with django_capture_on_commit_callbacks(execute=True):
        batch = create_import(
            project=project,
            name="t.tsv",
            file=ContentFile(b"a\tb"),
            user=None,
            default_domain="code",
        )
        assert not sent
    assert sent == [batch.pk]


@pytest.mark.parametrize(("content", "message"), [(b"", "empty"), (b"x" * 2000, "are the most")])
def test_a_file_of_the_wrong_size_is_refused_at_once(project, settings, content, message):
    settings.IMPORT_MAX_BYTES = 1000
    with pytest.raises(ImportProblem, match=message):
        start(project, content)
    assert not PromptImport.objects.exists()


class TestChain:
    def test_two_or_fewer_than_k(self):
        assert list(chain([1], 2, seed=0)) == []
        assert [sorted(group) for group in chain([1, 2], 2, seed=0)] == [[1, 2]]
        assert [sorted(group) for group in chain([1, 2, 3], 4, seed=0)] == [[1, 2, 3]]

    @pytest.mark.parametrize("k", [2, 3, 4, 9])
    @pytest.mark.parametrize("n", [3, 5, 8, 10, 17])
    def test_every_text_occurs_and_all_hang_together(self, n, k):
        ids = list(range(n))
        groups = list(chain(ids, k, seed=1))
        assert all(len(set(group)) == len(group) == min(n, k) for group in groups)
        reached = set(groups[0])
        for group in groups[1:]:
            assert reached & set(group)
            reached |= set(group)
        assert reached == set(ids)

    def test_it_is_the_same_each_time(self):
        assert list(chain([1, 2, 3], 2, seed=5)) == list(chain([1, 2, 3], 2, seed=5))
