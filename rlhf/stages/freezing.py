"""The snapshot that a run trains on: frozen when the run first starts, the same whenever it resumes."""

from __future__ import annotations

from rlhf.execution import Hold
from rlhf.lm.data import Dataset, read_snapshot
from rlhf.snapshots import freeze, path_of


def frozen(hold: Hold) -> Dataset:
    """Tasks and judgments as they were at the run's first start."""
    run = hold.run
    if run.snapshot is None:
        hold.say("Freezing the rankings")
        snapshot = freeze(run.project)
        with hold.writing(snapshot=snapshot):
            run.snapshot = snapshot
    return read_snapshot(path_of(run.snapshot))
