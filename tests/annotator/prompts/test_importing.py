"""An import is inspected, looked at, brought in all of it or not at all, once, and says what it did."""

import errno
import json
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from annotator import tasks
from annotator.models import Comparison, Completion, Event, Project, Prompt, PromptImport
from annotator.prompts import arriving, claims, importing, inspecting, kept, storing
from annotator.prompts.importing import (
    cancel_import,
    create_import,
    import_now,
    inspect_again,
    run_import,
    send_import,
    start_import,
)
from annotator.prompts.preparing import PreparationOptions
from annotator.prompts.reading import ImportProblem
from tests.factories import make_project, make_prompt

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


def inspected(project, content, user=None, **values):
    batch = start(project, content, user, **values)
    run_import(batch.pk)
    batch.refresh_from_db()
    assert batch.state == State.READY, batch.error
    return batch


def bring(project, content, user=None, **values):
    return import_now(start(project, content, user, **values))


def jsonl(*rows):
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def left_files(batch):
    """The files of the import beside what was uploaded."""
    return [path.name for path in kept.path_of(kept.FOLDER).glob(f"{batch.pk}-*")]


def die(batch):
    """What a worker leaves that was killed in the middle of it a while ago."""
    long_ago = timezone.now() - timedelta(minutes=5)
    PromptImport.objects.filter(pk=batch.pk).update(beaten_at=long_ago)


class TestInspection:
    def test_nothing_enters_the_project(self, project, alice):
        batch = inspected(project, "Say the opposite.\tAntonyms\nGive an antonym.\tAntonyms\n", alice)
        assert not Prompt.objects.exists()
        assert not Event.objects.exists()
        assert batch.format
        assert batch.encoding == "utf-8"
        assert (batch.claim, batch.finished_at) == ("", None)
        assert batch.report["kept"] == 2
        assert batch.report["brings"]["completions"] == 2
        assert [record.text for record in kept.records_of(batch)] == ["Antonyms", "Antonyms"]

    def test_a_bad_line_is_named_with_field_and_reason_and_the_others_stay(self, project):
        batch = inspected(project, jsonl({"text": "Antonyms"}, {"text": 7}, {"text": "Rhymes"}))
        assert (batch.report["kept"], batch.report["rejected"]) == (2, 1)
        (row,) = kept.rejects_of(batch)
        assert (row["line"], row["field"]) == (2, "text")
        assert "text" in row["why"]
        assert json.loads(row["raw"]) == {"text": 7}

    def test_a_file_that_is_none_of_tasks_fails_with_the_reason(self, project):
        batch = start(project, b"\x00\x01\x02 nothing of ours")
        run_import(batch.pk)
        batch.refresh_from_db()
        assert batch.state == State.FAILED
        assert batch.error
        assert batch.finished_at is not None
        assert left_files(batch) == []

    def test_other_steps_inspect_again_and_leave_only_the_new_files(self, project):
        batch = inspected(project, "Fix it.\tThe “cafÃ©”\n")
        before = set(left_files(batch))
        assert next(kept.records_of(batch)).text == "The “café”"
        assert inspect_again(batch, options=PreparationOptions(repair=False), send=False)
        run_import(batch.pk)
        batch.refresh_from_db()
        assert batch.state == State.READY
        assert next(kept.records_of(batch)).text == "The “cafÃ©”"
        assert not before & set(left_files(batch))
        assert inspecting.options_of(batch)[0] == PreparationOptions(repair=False)

    def test_options_that_are_not_known_any_more_are_passed_over(self, project):
        batch = start(project, "a\tb\n")
        batch.options = {"repair": False, "languages": ["en"], "a step of old": True}
        assert inspecting.options_of(batch)[0] == PreparationOptions(repair=False, languages=("en",))

    def test_a_full_disk_says_so_and_leaves_nothing(self, project, monkeypatch):
        batch = start(project, "a\tb\n")

        def full(self, found):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(kept.Files, "add", full)
        run_import(batch.pk)
        batch.refresh_from_db()
        assert (batch.state, batch.error) == (State.FAILED, importing.NO_ROOM)
        assert left_files(batch) == []


class TestStoring:
    def test_tasks(self, project, alice):
        batch = bring(
            project,
            jsonl(
                {
                    "text": "Antonyms",
                    "domain": "code",
                    "examples": [{"input": "hot", "output": "cold"}],
                    "id": 1,
                },
                {"text": "请写出反义词"},
            ),
            alice,
        )
        assert (batch.state, batch.error) == (State.DONE, "")
        counts = batch.counts
        assert (counts["prompts"], counts["known"]) == (2, 0)
        assert counts["languages"] == {"en": 1, "zh-hans": 1}
        assert counts["domains"] == {"code": 1, "general": 1}
        assert counts["ignored_fields"] == {"id": 1}
        first, second = Prompt.objects.order_by("pk")
        assert (first.text, first.domain, first.batch, first.project) == ("Antonyms", "code", batch, project)
        assert (second.language, second.domain) == ("zh-hans", "general")
        assert counts["held_out"] == Prompt.objects.filter(is_held_out=True).count()
        assert Event.objects.get().actor == alice
        assert (batch.records.name, left_files(batch)) == ("", [])
        assert list(Project.all_objects.all()) == [project]

    def test_pairs_become_completions_and_comparisons(self, project):
        batch = bring(
            project,
            "text\tlabel\nSay the opposite.\tAntonyms\nGive an antonym.\tAntonyms\n"
            "Translate it.\tTo French\n",
        )
        assert batch.state == State.DONE
        counts = batch.counts
        assert (counts["prompts"], counts["completions"], counts["comparisons"]) == (2, 3, 1)
        comparison = Comparison.objects.get()
        assert comparison.project == project
        assert comparison.prompt.text == "Antonyms"
        assert {row.text for row in comparison.completions.all()} == {"Say the opposite.", "Give an antonym."}
        assert {row.source for row in Completion.objects.all()} == {Completion.Source.IMPORTED}
        assert all(row.batch == batch for row in Completion.objects.all())

    def test_the_same_file_again_brings_nothing(self, project):
        content = "a\tb\nc\tb\n"
        bring(project, content)
        again = bring(project, content)
        assert again.state == State.DONE
        assert again.counts["prompts"] == again.counts["completions"] == again.counts["comparisons"] == 0
        assert (Prompt.objects.count(), Completion.objects.count(), Comparison.objects.count()) == (1, 2, 1)

    def test_new_instructions_join_a_task_that_is_there(self, project):
        bring(project, "a\tb\n")
        batch = bring(project, "c\tb\nd\tb\n")
        assert (batch.counts["known"], batch.counts["completions"], batch.counts["comparisons"]) == (1, 2, 3)
        prompt = Prompt.objects.get()
        assert prompt.batch != batch
        assert {row.text for row in prompt.completions.all()} == {"a", "c", "d"}
        assert all((row.project, row.prompt) == (project, prompt) for row in Comparison.objects.all())

    def test_many_chunks_are_one_import(self, project, monkeypatch):
        monkeypatch.setattr(storing, "CHUNK", 3)
        monkeypatch.setattr(arriving, "CHUNK", 3)
        lines = [f"instruction {n}\ttask {n % 5}" for n in range(20)]
        batch = bring(project, "\n".join(lines))
        assert (batch.counts["prompts"], batch.counts["completions"]) == (5, 20)
        assert {row.completions.count() for row in Prompt.objects.all()} == {4}
        assert batch.counts["comparisons"] == Comparison.objects.filter(project=project).count() == 20

    def test_two_projects_may_have_the_same_task(self, project):
        bring(project, "a\tb\n")
        assert bring(make_project(), "a\tb\n").counts["prompts"] == 1

    def test_nothing_can_be_seen_before_all_is_there(self, project, monkeypatch):
        monkeypatch.setattr(storing, "CHUNK", 1)
        batch = inspected(project, "a\tb\nc\td\n")
        seen = []
        show = storing.show

        def look(*args):
            seen.append((project.prompts.count(), project.comparisons.count(), Project.objects.count()))
            seen.append(Prompt.objects.count())
            show(*args)

        monkeypatch.setattr(storing, "show", look)
        start_import(batch, send=False)
        run_import(batch.pk)
        assert seen == [(0, 0, 1), 2]
        assert project.prompts.count() == 2

    def test_a_task_that_came_meanwhile_is_not_brought_twice(self, project, monkeypatch):
        batch = inspected(project, "a\tb\n")
        compare = arriving.Arrival.compare
        came = []

        def meanwhile(self):
            if not came:
                came.append(make_prompt(project, "b"))
            return compare(self)

        monkeypatch.setattr(arriving.Arrival, "compare", meanwhile)
        start_import(batch, send=False)
        run_import(batch.pk)
        batch.refresh_from_db()
        assert (batch.state, batch.counts["prompts"], batch.counts["known"]) == (State.DONE, 0, 1)
        assert Completion.objects.get().prompt == came[0]
        assert Prompt.objects.count() == 1

    def test_an_error_while_storing_leaves_nothing(self, project, monkeypatch):
        def fail(*args, **kwargs):
            raise RuntimeError("the moon is full of cheese")

        monkeypatch.setattr(storing, "show", fail)
        batch = inspected(project, "a\tb\nc\tb\n")
        start_import(batch, send=False)
        with pytest.raises(RuntimeError):
            run_import(batch.pk)
        batch.refresh_from_db()
        assert batch.state == State.FAILED
        assert "cheese" in batch.error
        assert not Prompt.objects.exists()
        assert list(Project.all_objects.all()) == [project]
        assert left_files(batch) == []

    def test_it_runs_once(self, project):
        batch = bring(project, "a\tb\n")
        Completion.objects.all().delete()
        Prompt.objects.all().delete()
        run_import(batch.pk)
        assert not Prompt.objects.exists()
        assert not start_import(batch, send=False)
        assert not inspect_again(batch, options=PreparationOptions(), send=False)


class TestEnding:
    @pytest.mark.parametrize("step", ["queued", "ready", "importing"])
    def test_a_cancelled_import_brings_nothing(self, project, step):
        batch = start(project, "a\tb\n") if step == "queued" else inspected(project, "a\tb\n")
        if step == "importing":
            start_import(batch, send=False)
        assert cancel_import(batch)
        run_import(batch.pk)
        assert not Prompt.objects.exists()
        assert left_files(batch) == []
        assert not cancel_import(batch)
        assert not start_import(batch, send=False)

    def test_what_was_cancelled_can_be_inspected_again(self, project):
        batch = inspected(project, "a\tb\n")
        cancel_import(batch)
        assert inspect_again(batch, options=PreparationOptions(), send=False)
        batch.refresh_from_db()
        assert import_now(batch).state == State.DONE

    @pytest.mark.parametrize("how", ["cancelled", "taken over"])
    def test_whoever_lost_the_import_stores_nothing(self, project, monkeypatch, how):
        batch = inspected(project, "a\tb\n")
        compare = arriving.Arrival.compare

        def meanwhile(self):
            if how == "cancelled":
                cancel_import(batch)
            else:
                PromptImport.objects.filter(pk=batch.pk).update(claim="somebody else's")
            return compare(self)

        monkeypatch.setattr(arriving.Arrival, "compare", meanwhile)
        start_import(batch, send=False)
        run_import(batch.pk)
        assert not project.prompts.exists()
        if how == "taken over":  # whoever has it now begins by removing what lies about
            monkeypatch.setattr(arriving.Arrival, "compare", compare)
            PromptImport.objects.filter(pk=batch.pk).update(claim="")
            run_import(batch.pk)
            assert project.prompts.count() == Prompt.objects.count() == 1
        assert list(Project.all_objects.all()) == [project]

    def test_an_inspection_that_is_cancelled_while_it_reads_keeps_nothing(self, project, monkeypatch):
        monkeypatch.setattr(claims, "BEAT_SECONDS", 0)
        batch = start(project, "a\tb\nc\td\n")
        run_import(batch.pk, lambda done, total: cancel_import(batch))
        batch.refresh_from_db()
        assert (batch.state, batch.records.name) == (State.CANCELLED, "")
        assert left_files(batch) == []

    def test_an_interrupted_import_is_marked(self, project, monkeypatch):
        def interrupt(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr(storing, "show", interrupt)
        batch = inspected(project, "a\tb\n")
        start_import(batch, send=False)
        with pytest.raises(KeyboardInterrupt):
            run_import(batch.pk)
        batch.refresh_from_db()
        assert batch.state == State.CANCELLED
        assert not Prompt.objects.exists()


class TestWorkers:
    def test_progress_is_shown_while_it_reads(self, project, monkeypatch):
        monkeypatch.setattr(claims, "BEAT_SECONDS", 0)
        seen = []
        batch = start(project, "a\tb\nc\td\n")

        def look(done, total):
            seen.append((done, total, PromptImport.objects.get(pk=batch.pk).progress))

        run_import(batch.pk, look)
        assert [(done, total) for done, total, _ in seen] == [(1, 2), (2, 2)]
        assert [found for _, _, found in seen] == [{"done": 1, "total": 2}, {"done": 2, "total": 2}]

    @pytest.mark.parametrize("step", ["inspecting", "importing"])
    def test_an_import_whose_worker_died_starts_again(self, project, step):
        batch = start(project, "a\tb\n")
        if step == "importing":
            run_import(batch.pk)
            start_import(batch, send=False)
        claims.Claim.take(batch.pk)
        assert importing.waiting() == []
        die(batch)
        assert importing.waiting() == [batch.pk]
        batch.refresh_from_db()
        assert import_now(batch).state == State.DONE
        assert Prompt.objects.count() == 1

    def test_what_kills_every_worker_fails(self, project):
        batch = start(project, "a\tb\n")
        for _ in range(claims.ATTEMPTS):
            claims.Claim.take(batch.pk)
            die(batch)
            importing.waiting()
        batch.refresh_from_db()
        assert batch.state == State.FAILED
        assert "died 3 times" in batch.error
        assert importing.waiting() == []

    def test_one_worker_takes_it(self, project):
        batch = start(project, "a\tb\n")
        assert claims.Claim.take(batch.pk) is not None
        assert claims.Claim.take(batch.pk) is None

    def test_the_database_says_who_is_silent_whatever_the_clock_of_this_machine(self, project, monkeypatch):
        batch = start(project, "a\tb\n")
        claims.Claim.take(batch.pk)
        monkeypatch.setattr(
            timezone, "now", lambda: PromptImport.objects.get().created_at + timedelta(days=9)
        )
        assert importing.waiting() == []

    def test_without_a_broker_it_waits_for_the_sweep(self, project, caplog):
        batch = start(project, "a\tb\n")
        assert not send_import(batch.pk)
        assert "waits for the broker" in caplog.text
        tasks.sweep_imports()
        batch.refresh_from_db()
        assert batch.state == State.QUEUED

    def test_the_task_carries_out_one_step_after_the_other(self, project):
        batch = start(project, "a\tb\n")
        tasks.import_file(batch.pk)
        assert not Prompt.objects.exists()
        start_import(batch, send=False)
        tasks.import_file(batch.pk)
        assert Prompt.objects.count() == 1

    def test_it_is_sent_when_the_transaction_commits(
        self, project, django_capture_on_commit_callbacks, monkeypatch
    ):
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
        run_import(batch.pk)
        with django_capture_on_commit_callbacks(execute=True):
            assert start_import(batch)
        assert sent == [batch.pk, batch.pk]


@pytest.mark.parametrize(("content", "message"), [(b"", "empty"), (b"x" * 2000, "are the most")])
def test_a_file_of_the_wrong_size_is_refused_at_once(project, settings, content, message):
    settings.IMPORT_MAX_BYTES = 1000
    with pytest.raises(ImportProblem, match=message):
        start(project, content)
    assert not PromptImport.objects.exists()


def test_no_room_for_the_upload_is_said_at_once(project, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("django.core.files.storage.FileSystemStorage._save", full)
    with pytest.raises(ImportProblem, match="no room"):
        start(project, "a\tb\n")
    assert not PromptImport.objects.exists()
