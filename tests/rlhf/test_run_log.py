"""What a run's log says, whoever wrote it and however it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from django.test import Client

from annotator.models import Project, User
from rlhf import execution, run_log, runs
from rlhf.execution import Hold
from rlhf.lm.data import Record
from rlhf.models import Run


@pytest.fixture
def run(project: Project, settings, tmp_path, monkeypatch) -> Run:
    settings.VAR = tmp_path
    monkeypatch.setattr(runs.app, "send_task", lambda *args, **kwargs: None)
    return Run.objects.create(project=project, kind="policy", total=2)


def texts(run: Run) -> list[str]:
    return [line.text for line in run_log.newest(run)][::-1]


def test_a_run_from_its_first_attempt_to_its_end(run: Run):
    def stage(hold: Hold) -> None:
        hold.say("Loading the models")
        hold.record(Record(step=1, total=2, values={}), message="Step 1 of 2: reward 0.10")
        hold.record(Record(step=2, total=2, values={}, note="stopped: KL is over the budget"), message="…")
        with hold.finishing():
            pass

    execution.execute(run.pk, lambda kind: stage)
    first, *others = texts(run)
    assert first.startswith("attempt 1, by ")
    assert others == [
        "Loading the models",
        "Step 1 of 2: reward 0.10",
        "stopped: KL is over the budget",
        "done",
    ]


@pytest.mark.parametrize("passed_on", [True, False])
def test_a_failure_has_its_traceback_there_and_nowhere_else(run: Run, monkeypatch, passed_on: bool):
    # As soon as torch is imported its logger passes nothing on to the root.
    monkeypatch.setattr(logging.getLogger("torch"), "propagate", passed_on)

    def stage(hold: Hold) -> None:
        logging.getLogger("torch").warning("slow path")
        raise ValueError("no such folder")

    execution.execute(run.pk, lambda kind: stage)
    logging.getLogger("torch").warning("after the run")
    said = texts(run)
    assert said[1] == "slow path" and said[-1] == "failed: no such folder (ValueError)"
    assert "Traceback" in said[2] and said[2].endswith("ValueError: no such folder")
    assert len(said) == 4


def test_what_people_did_and_dead_workers_are_in_it(run: Run, alice: User, settings):
    settings.RUN_STALE_SECONDS = -60
    assert execution.claim(run.pk, "here") is not None
    execution.requeue_stale()
    runs.cancel(run, user=alice)
    runs.resume(run, user=alice)
    died, asked, resumed = texts(run)
    assert died.startswith("Its worker died at step 0")
    assert (asked, resumed) == ("alice asked for its end", "alice resumed it")


def test_the_newest_lines_come_first_and_no_more_than_asked(run: Run):
    for number in range(5):
        run_log.append(run, f"line {number}")
    assert [line.text for line in run_log.newest(run, 2)] == ["line 4", "line 3"]


def test_a_log_that_cannot_be_written_stops_nothing(run: Run, settings, tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    run_log.append(run, "lost")
    assert run_log.newest(run) == []


def test_the_page_shows_it_as_text_and_gives_it_as_a_file(
    run: Run, alice: User, client_of: Callable[[User], Client]
):
    client = client_of(alice)
    assert "No worker has written anything yet." in client.get(run.get_absolute_url()).content.decode()
    run_log.append(run, "<b>hostile</b>")
    content = client.get(run.get_absolute_url()).content.decode()
    assert "&lt;b&gt;hostile&lt;/b&gt;" in content and "<b>hostile" not in content
    headers = {"HX-Request": "true", "HX-Target": "run-log"}
    part = client.get(run.get_absolute_url(), headers=headers).content.decode()
    assert part.lstrip().startswith('<div id="run-log"') and "every 5s" in part
    file = client.get(f"{run.get_absolute_url()}log/")
    assert file["Content-Type"].startswith("text/plain") and "attachment" in file["Content-Disposition"]
    assert b"<b>hostile</b>" in b"".join(file.streaming_content)  # type: ignore[attr-defined]


def test_a_run_without_a_log_gives_an_empty_file(run: Run, alice: User, client_of: Callable[[User], Client]):
    assert client_of(alice).get(f"{run.get_absolute_url()}log/").content == b""
