"""What the tests of the model side share: a tiny model, and runs carried out in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from annotator.models import Project
from rlhf import execution, runs
from rlhf.execution import Hold
from rlhf.lm.data import Record
from rlhf.models import Run
from rlhf.tasks import stage_of


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True)
def no_folders_of_earlier_runs(settings) -> None:
    """Each test counts its runs from 1 again, and a folder goes by its run's number."""
    shutil.rmtree(settings.VAR / "runs", ignore_errors=True)


@pytest.fixture
def tiny_project(project: Project, tiny_model: Path, settings, monkeypatch) -> Project:
    """The project, with the tiny model as generator and executor, and nothing sent to a broker."""
    settings.MODEL = settings.EXECUTOR = str(tiny_model)
    monkeypatch.setattr(runs.app, "send_task", lambda *args, **kwargs: None)
    return project


@pytest.fixture
def carry_out() -> Callable[[Run], Run]:
    """Carry a run out as a worker does, in this process, and fail with what it failed of."""

    def work(run: Run) -> Run:
        execution.execute(run.pk, stage_of)
        run.refresh_from_db()
        assert run.state == Run.State.DONE, run.error or run.state
        return run

    return work


@pytest.fixture
def stop_after() -> Callable[[Run, int], None]:
    """Carry a run out until this step is stored; then its process is stopped in the middle of the next."""

    def work(run: Run, step: int) -> None:
        def stage(hold: Hold) -> None:
            store = hold.store

            def stopping(record: Record) -> None:
                if record.step > step:
                    raise KeyboardInterrupt
                store(record)

            hold.store = stopping
            stage_of(run.kind)(hold)

        with pytest.raises(KeyboardInterrupt):
            execution.execute(run.pk, lambda kind: stage)
        run.refresh_from_db()
        assert run.state == Run.State.QUEUED

    return work
