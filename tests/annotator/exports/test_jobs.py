"""A saved export is made once, whole or not at all, and made again it is the same or says why not."""

import hashlib
import json
import resource
import shutil
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from kombu.exceptions import OperationalError

from annotator import consent, tasks
from annotator.exports import export as export_module
from annotator.exports import jobs, retention, sameness
from annotator.exports.recipe import Recipe
from annotator.exports.selection import Selection, SplitPlan
from annotator.models import Event, Export, Ranking
from annotator.pseudonyms import pseudonym
from annotator.ranking.submit import undo
from tests.factories import make_comparison, make_ranking

pytestmark = pytest.mark.django_db
State = Export.State


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.EXPORTS_DIR = tmp_path / "exports"
    settings.EXPORT_KEEP_FREE_BYTES = 0
    return settings.EXPORTS_DIR


@pytest.fixture
def judged(project, bob, carol):
    """Four comparisons that bob judged, and one of them carol too."""
    make_comparison(project, wanted=2)
    for _ in range(3):
        make_comparison(project)
    for _ in range(4):
        make_ranking(project, bob)
    make_ranking(project, carol)
    return project


def start(project, user=None, **recipe):
    return jobs.create(
        project=project, recipe=Recipe(**{"format": "raw", **recipe}), user=user, send_it=False
    )


def make(project, user=None, **recipe):
    export = start(project, user, **recipe)
    jobs.run(export.pk)
    export.refresh_from_db()
    return export


def again(export, user=None):
    made = jobs.repeat(export, user, send_it=False)
    jobs.run(made.pk)
    made.refresh_from_db()
    return made


def lines(export):
    paths = [export.folder / file["name"] for file in export.files if file.get("split")]
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def left(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def test_it_is_made_and_its_files_are_described(judged, alice):
    export = make(judged, alice)
    assert (export.state, export.error, export.attempts) == (State.DONE, "", 1)
    assert (export.read, export.of) == (5, 5)
    assert len(lines(export)) == 5
    assert export.manifest["counts"]["rankings"] == 5
    assert {"manifest.json", "data/train.jsonl"} <= {file["name"] for file in export.files}
    for file in export.files:
        data = (export.folder / file["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    assert {path.relative_to(export.folder).as_posix() for path in left(export.folder)} == {
        file["name"] for file in export.files
    }
    [event] = Event.objects.filter(verb="exported")
    assert (event.actor, event.url) == (alice, export.get_absolute_url())


def test_filters_splits_and_compression_are_kept_with_it(judged):
    recipe = {"selection": Selection(iteration_from=1), "splits": SplitPlan(0.5, 0.0, 0.5), "gzip": True}
    export = make(judged, **recipe)
    assert Recipe.from_json(export.recipe) == Recipe(format="raw", **recipe)
    assert all(file["name"].endswith(".gz") for file in export.files if file.get("split"))


def test_made_again_after_new_judgments_it_has_the_same_bytes(judged, bob):
    first = make(judged)
    make_comparison(judged)
    make_ranking(judged, bob)
    undo(annotator=bob, ranking=Ranking.objects.filter(annotator=bob).first(), idempotency_key="undone")
    second = again(first)
    assert second.sha256 == first.sha256
    assert second.files == first.files
    assert sameness.beside_earlier(second).is_same
    newer = make(judged)
    assert newer.sha256 != first.sha256
    assert sameness.beside_earlier(newer) is None  # it repeats none


def test_after_a_withdrawal_it_is_not_the_same_and_says_why(judged, bob, carol):
    first = make(judged)
    consent.withdraw(bob, judged)
    second = again(first)
    assert second.sha256 != first.sha256
    assert {line["annotator"] for line in lines(second)} == {pseudonym(judged, carol.pk)}
    assert second.manifest["withdrawn"]["judgments"] == 4
    found = sameness.beside_earlier(second)
    assert (found.is_same, found.earlier) == (False, first)
    assert found.reasons == ["4 judgments have been withdrawn since by who gave them."]
    consent.give_back(bob, judged)
    assert again(first).sha256 == first.sha256
    assert sameness.beside_earlier(again(second)).reasons == [
        "4 judgments that were withdrawn then may be used again."
    ]


def test_nothing_of_who_withdrew_is_in_the_manifest(judged, bob):
    judged.memberships.update(reliability=0.9)
    export = make(judged, selection=Selection(min_reliability=0.5))
    name = pseudonym(judged, bob.pk)
    assert name in (export.folder / "manifest.json").read_text()
    consent.withdraw(bob, judged)
    later = again(export)
    assert later.state == State.DONE
    assert not [path for path in left(later.folder) if name in path.read_text()]


def test_another_key_is_given_as_a_reason(judged, settings):
    first = make(judged)
    settings.SECRET_KEY = "another"
    assert "secret key" in sameness.beside_earlier(again(first)).reasons[0]


def test_it_is_made_once(judged):
    export = make(judged)
    shutil.rmtree(export.folder)
    jobs.run(export.pk)
    assert not left(export.folder)


def test_a_cancelled_export_is_not_made(judged, folder):
    export = start(judged)
    assert jobs.cancel(export)
    jobs.run(export.pk)
    export.refresh_from_db()
    assert export.state == State.CANCELLED
    assert not left(folder)
    assert not jobs.cancel(export)


@pytest.fixture
def at_each_beat(monkeypatch):
    """Does something when the export reports progress, which it does after every judgment here."""
    monkeypatch.setattr(export_module, "REPORT", 1)
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.0)

    def use(action):
        beat = jobs._Claim.beat

        def both(self, read):
            action(self)
            beat(self, read)

        monkeypatch.setattr(jobs._Claim, "beat", both)

    return use


def test_cancelled_while_it_is_made_it_leaves_nothing(judged, folder, at_each_beat):
    export = start(judged)
    at_each_beat(lambda claim: jobs.cancel(claim.export))
    jobs.run(export.pk)
    export.refresh_from_db()
    assert (export.state, export.files) == (State.CANCELLED, [])
    assert not left(folder)


def test_deleted_while_it_is_made_it_leaves_nothing(
    judged, folder, at_each_beat, django_capture_on_commit_callbacks
):
    export = start(judged)

    def delete(claim):
        with django_capture_on_commit_callbacks(execute=True):
            jobs.delete(claim.export, None)

    at_each_beat(delete)
    jobs.run(export.pk)
    assert not Export.objects.exists()
    assert not left(folder)


def test_progress_is_shown(judged, at_each_beat):
    export = start(judged)
    seen = []
    at_each_beat(lambda claim: seen.append(Export.objects.get(pk=export.pk).read))
    jobs.run(export.pk)
    assert seen[0] == 0
    assert sorted(seen) == seen and seen[-1] > 0


def test_who_was_overtaken_leaves_the_others_files(judged, folder, at_each_beat):
    export = start(judged)
    done = []

    def overtake(claim):
        if done:
            return
        done.append(True)
        Export.objects.filter(pk=export.pk).update(state=State.QUEUED, claimed_at=None)
        jobs.run(export.pk)  # another worker, from beginning to end

    at_each_beat(overtake)
    jobs.run(export.pk)
    export.refresh_from_db()
    assert (export.state, export.attempts) == (State.DONE, 2)
    assert len(lines(export)) == 5
    assert {path.relative_to(folder).parts[1] for path in left(folder)} == {"2"}


def test_a_dead_workers_export_goes_back_to_the_queue_and_is_made(judged, folder, settings):
    export = start(judged)
    long_ago = timezone.now() - timedelta(seconds=settings.EXPORT_STALE_SECONDS + 1)
    aside = folder / str(export.pk) / ".1.abc"
    aside.mkdir(parents=True)
    (aside / "half").write_text("half")
    Export.objects.filter(pk=export.pk).update(
        state=State.RUNNING, claimed_at=long_ago, attempts=1, created_at=long_ago
    )
    assert jobs.requeue_stale() == [export.pk]
    jobs.run(export.pk)
    export.refresh_from_db()
    assert (export.state, export.attempts) == (State.DONE, 2)
    assert not aside.exists()


def test_a_working_workers_export_stays_its_own(judged):
    export = start(judged)
    Export.objects.filter(pk=export.pk).update(state=State.RUNNING, claimed_at=timezone.now())
    assert jobs.requeue_stale() == []


def test_without_a_broker_it_waits_and_is_sent_later(judged, monkeypatch, django_capture_on_commit_callbacks):
    def refuse(name, args):
        raise OperationalError("connection refused")

    monkeypatch.setattr(jobs.current_app, "send_task", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        export = jobs.create(project=judged, recipe=Recipe("raw"), user=None)
    assert export.state == State.QUEUED
    tasks.sweep_exports()
    sent = []
    monkeypatch.setattr(jobs.current_app, "send_task", lambda name, args: sent.append((name, args)))
    tasks.sweep_exports()
    assert sent == []  # it may be on its way still
    Export.objects.update(created_at=timezone.now() - timedelta(seconds=6))
    tasks.sweep_exports()
    assert sent == [("annotator.tasks.make_export", [export.pk])]


def test_an_export_of_nothing_fails_with_words(project, folder):
    export = make(project)
    assert export.state == State.FAILED
    assert "nothing" in export.error
    assert not left(folder)


def test_a_full_disk_fails_with_words_and_leaves_nothing(judged, folder):
    """The kernel refuses to write more than so many bytes to a file, as it does when there is no room."""
    export = start(judged)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        jobs.run(export.pk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    export.refresh_from_db()
    assert export.state == State.FAILED
    assert export.error.startswith("The disk is full")
    assert not left(folder)


def test_it_stops_before_the_site_itself_has_no_room(judged, folder, settings):
    settings.EXPORT_KEEP_FREE_BYTES = shutil.disk_usage("/").total * 2
    export = make(judged)
    assert export.state == State.FAILED
    assert "Nothing of this export was stored" in export.error
    assert not left(folder)


def test_a_disk_that_fills_up_meanwhile_stops_it(judged, folder, settings, at_each_beat):
    export = start(judged)

    def fill(claim):
        settings.EXPORT_KEEP_FREE_BYTES = shutil.disk_usage("/").total * 2

    at_each_beat(fill)
    jobs.run(export.pk)
    export.refresh_from_db()
    assert export.state == State.FAILED
    assert not left(folder)


def test_another_error_is_told_and_raised(judged, monkeypatch, folder):
    def fail(*args, **kwargs):
        raise RuntimeError("no such thing")

    monkeypatch.setattr(jobs, "write_export", fail)
    export = start(judged)
    with pytest.raises(RuntimeError):
        jobs.run(export.pk)
    export.refresh_from_db()
    assert (export.state, export.error) == (State.FAILED, "The export failed: RuntimeError: no such thing")


def test_deleting_removes_the_files(judged, alice, folder, django_capture_on_commit_callbacks):
    export = make(judged)
    with django_capture_on_commit_callbacks(execute=True):
        jobs.delete(export, alice)
    assert not Export.objects.exists()
    assert not left(folder)
    assert Event.objects.filter(verb="deleted the export", subject="raw").exists()


def test_old_files_are_deleted_and_can_be_made_again(judged, settings, folder):
    settings.EXPORT_KEEP_DAYS = 30
    old, new = make(judged), make(judged)
    Export.objects.filter(pk=old.pk).update(finished_at=timezone.now() - timedelta(days=31))
    assert tasks.sweep_export_files() == 1
    old.refresh_from_db()
    assert old.files_deleted_at is not None
    assert old.manifest and old.sha256
    assert not left(old.folder)
    assert left(new.folder)
    assert tasks.sweep_export_files() == 0
    assert again(old).sha256 == old.sha256


def test_without_a_limit_files_are_kept(judged, settings):
    settings.EXPORT_KEEP_DAYS = 0
    export = make(judged)
    Export.objects.filter(pk=export.pk).update(finished_at=timezone.now() - timedelta(days=9999))
    assert retention.delete_old_files() == 0
    assert left(export.folder)


def test_files_of_no_export_are_swept(judged, folder):
    export = make(judged)
    stray = folder / "987654"
    stray.mkdir()
    (folder / "notes.txt").write_text("not ours")
    retention.delete_old_files()
    assert not stray.exists()
    assert left(export.folder) and (folder / "notes.txt").exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_makes_it(judged, folder):
    export = start(judged)
    claims, barrier = [], threading.Barrier(6)

    def claim():
        barrier.wait()
        try:
            claims.append(jobs._Claim.take(export.pk))
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claims) == 6
    assert len([one for one in claims if one is not None]) == 1
    export.refresh_from_db()
    assert (export.state, export.attempts) == (State.RUNNING, 1)
