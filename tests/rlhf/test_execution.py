"""The worker's side of a run: claims, stored steps, cancelling, dead workers, failures."""

from __future__ import annotations

import math
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.utils import timezone

from annotator.models import Project
from rlhf import execution
from rlhf.execution import CancelRequested, ClaimLost, Hold, claim, execute
from rlhf.interrupts import Interrupted, Interrupts
from rlhf.lm.data import Record, Sample
from rlhf.models import Run
from tests.factories import make_prompt


@pytest.fixture
def run(project: Project) -> Run:
    return Run.objects.create(project=project, kind=Run.Kind.POLICY)


@pytest.fixture
def hold(run: Run) -> Hold:
    taken = claim(run.pk, "here")
    assert taken is not None
    return taken


def silence(run: Run, seconds: float) -> None:
    Run.objects.filter(pk=run.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=seconds))


def test_a_claim_makes_it_running(run: Run, hold: Hold):
    run.refresh_from_db()
    assert (run.state, run.attempts, run.worker) == ("running", 1, hold.token)
    assert abs((timezone.now() - run.heartbeat_at).total_seconds()) < 5
    assert run.started_at is not None


def test_a_second_worker_does_not_get_it(run: Run, hold: Hold):
    assert claim(run.pk, "there") is None
    run.refresh_from_db()
    assert (run.worker, run.attempts) == (hold.token, 1)


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_what_has_ended_is_not_claimed(run: Run, state: str):
    Run.objects.filter(pk=run.pk).update(state=state)
    assert claim(run.pk, "here") is None


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_at_once_one_gets_it(run: Run):
    taken: list[bool] = []
    start = threading.Barrier(6)

    def work() -> None:
        start.wait()
        taken.append(claim(run.pk, "w") is not None)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 5 + [True]


def test_a_step_is_stored_once_however_often_it_is_done(project: Project, run: Run, hold: Hold):
    prompt = make_prompt(project)
    for reward in (0.25, 0.5):
        sample = Sample(task_id=str(prompt.pk), text=f"text {reward}", reference_text="before")
        hold.record(Record(step=3, total=8, values={"reward": reward}, samples=(sample,)), message="step 3")
    record = run.records.get()
    assert (record.step, record.values["reward"]) == (3, 0.5)
    assert record.values["peak_mb"] > 10
    assert run.samples.get().text == "text 0.5"
    run.refresh_from_db()
    assert (run.step, run.total, run.message) == (3, 8, "step 3")


def test_numbers_that_json_does_not_know_become_null(run: Run, hold: Hold):
    hold.record(Record(step=1, total=1, values={"kl": math.nan, "reward": math.inf, "loss": 1.0}))
    values = run.records.get().values
    assert (values["kl"], values["reward"], values["loss"]) == (None, None, 1.0)


def test_a_worker_that_lost_its_claim_stores_nothing(run: Run, hold: Hold):
    silence(run, 1000)
    assert execution.requeue_stale() == 1
    other = claim(run.pk, "there")
    assert other is not None
    with pytest.raises(ClaimLost):
        hold.record(Record(step=1, total=2, values={"reward": 1.0}))
    assert not hold.beat()
    hold.fail("too late")
    hold.release("too late")
    assert not run.records.exists()
    run.refresh_from_db()
    assert (run.state, run.worker, run.error, run.attempts) == ("running", other.token, "", 2)


def test_a_silent_run_goes_back_and_says_so(run: Run, hold: Hold, settings):
    settings.RUN_STALE_SECONDS = 20
    silence(run, 15)
    assert execution.requeue_stale() == 0
    silence(run, 25)
    assert execution.requeue_stale() == 1
    run.refresh_from_db()
    assert (run.state, run.worker, run.sent_at) == ("queued", "", None)
    assert "died at step 0" in run.note


def test_a_beating_run_stays(run: Run, hold: Hold, settings):
    settings.RUN_STALE_SECONDS = 20
    silence(run, 25)
    assert hold.beat()
    assert execution.requeue_stale() == 0


def test_a_silent_run_that_was_to_be_cancelled_ends(run: Run, hold: Hold):
    Run.objects.filter(pk=run.pk).update(cancel_requested=True)
    silence(run, 1000)
    execution.requeue_stale()
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_a_run_that_kills_its_workers_stops_in_the_end(run: Run, hold: Hold):
    Run.objects.filter(pk=run.pk).update(attempts=execution.MAX_DEATHS)
    silence(run, 1000)
    execution.requeue_stale()
    run.refresh_from_db()
    assert run.state == "failed"
    assert "died 20 times" in run.error


def test_a_cancel_is_seen_after_the_step_which_is_kept(run: Run, hold: Hold):
    Run.objects.filter(pk=run.pk).update(cancel_requested=True)
    with pytest.raises(CancelRequested):
        hold.record(Record(step=1, total=2, values={}))
    assert run.records.count() == 1


def test_finishing_is_one_transaction_with_its_result(project: Project, run: Run, hold: Hold):
    def finish(result: str, times: int) -> None:
        with hold.finishing("stopped early"):
            for _ in range(times):
                make_prompt(project, result)

    with pytest.raises(IntegrityError):
        finish("the same", times=2)
    run.refresh_from_db()
    assert run.state == "running"
    assert not project.prompts.exists()
    finish("another", times=1)
    run.refresh_from_db()
    assert (run.state, run.note) == ("done", "stopped early")
    assert run.finished_at is not None


def test_a_cancelled_run_leaves_no_result(project: Project, run: Run):
    def stage(hold: Hold) -> None:
        Run.objects.filter(pk=run.pk).update(cancel_requested=True)
        with hold.finishing():
            make_prompt(project)

    execute(run.pk, lambda kind: stage)
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert not project.prompts.exists()


def test_it_carries_out_the_stage_of_the_kind(run: Run):
    def stage_of(kind: str) -> execution.Stage:
        assert kind == "policy"

        def stage(hold: Hold) -> None:
            assert hold.folder.is_dir()
            with hold.finishing():
                pass

        return stage

    execute(run.pk, stage_of)
    run.refresh_from_db()
    assert run.state == "done"


def test_a_failure_is_told_in_short_and_logged_in_full(run: Run, caplog):
    def stage(hold: Hold) -> None:
        raise ValueError("the folder has no config.json")

    execute(run.pk, lambda kind: stage)
    run.refresh_from_db()
    assert (run.state, run.error) == ("failed", "the folder has no config.json (ValueError)")
    assert "Traceback" in caplog.text
    assert "Traceback" not in run.error


@pytest.mark.django_db(transaction=True)
def test_a_failing_database_gives_the_run_back(run: Run):
    def stage(hold: Hold) -> None:
        raise OperationalError("server closed the connection")

    execute(run.pk, lambda kind: stage)
    run.refresh_from_db()
    assert run.state == "queued"


def test_a_worker_that_is_stopped_gives_the_run_back_at_once(run: Run, monkeypatch):
    mine = Interrupts()
    monkeypatch.setattr(execution, "interrupts", mine)
    steps: list[int] = []

    def stage(hold: Hold) -> None:
        hold.record(Record(step=1, total=9, values={}))
        mine.request()  # as the signal's handler does
        steps.append(2)

    execute(run.pk, lambda kind: stage)
    run.refresh_from_db()
    assert (run.state, run.step, run.sent_at, steps) == ("queued", 1, None, [])
    assert "worker was stopped" in run.note


def test_a_signal_waits_while_rows_are_written(run: Run, monkeypatch):
    mine = Interrupts()
    monkeypatch.setattr(execution, "interrupts", mine)

    def stage(hold: Hold) -> None:
        with hold.writing(step=5):
            mine.request()
        raise AssertionError("not reached")

    execute(run.pk, lambda kind: stage)
    run.refresh_from_db()
    assert (run.state, run.step) == ("queued", 5)


def test_a_run_that_is_done_stays_done_when_the_signal_comes_late(run: Run, monkeypatch):
    mine = Interrupts()
    monkeypatch.setattr(execution, "interrupts", mine)

    def stage(hold: Hold) -> None:
        with hold.finishing():
            mine.request()

    execute(run.pk, lambda kind: stage)
    run.refresh_from_db()
    assert run.state == "done"


def test_an_idle_worker_is_not_interrupted():
    mine = Interrupts()
    mine.request()
    with pytest.raises(Interrupted), mine.allowed():
        raise AssertionError("not reached")


@pytest.mark.django_db(transaction=True)
def test_the_heart_beats_beside_the_work(run: Run, settings):
    settings.RUN_HEARTBEAT_SECONDS = 0.05
    beaten = threading.Event()

    def stage(hold: Hold) -> None:
        silence(run, 1000)
        for _ in range(100):
            run.refresh_from_db()
            if (timezone.now() - run.heartbeat_at).total_seconds() < 10:
                beaten.set()
                break
            beaten.wait(0.05)
        with hold.finishing():
            pass

    execute(run.pk, lambda kind: stage)
    assert beaten.is_set()
