"""The command line that all training scripts share, without Django: one process or several.

    python -m rlhf.lm.policy_gradient --config run.json
    accelerate launch -m rlhf.lm.policy_gradient --config run.json

docs/scale.md is its guide.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import inspect
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import torch
from accelerate import PartialState

from rlhf.lm.configs import POLICY_CONFIGS
from rlhf.lm.data import Record
from rlhf.lm.jobs import BadJob, Job, read_job
from rlhf.lm.processes import ALONE, Processes
from rlhf.lm.training_state import record_to_json, saved_step

Start = Callable[[Job, Processes], Iterator[Record]]

METRICS = "metrics.jsonl"
OURS, TRL = "prefloop", "trl"
DONE, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
TOLD = ("reward", "loss", "kl", "length", "entropy", "margin", "accuracy_train", "accuracy_held_out")
"""What of a step is printed, as far as it is there; all of it goes into the metrics file."""
SHARDED = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_MEGATRON_LM")


def main(kind: type, start: Start, arguments: Sequence[str] | None = None) -> int:
    """Train as run.json says; `start` gives the records. Returns the exit code.

    0 done (also where a limit stopped the run, which is then said), 1 failed, 2 refused, 130 interrupted.
    """
    options = parser(kind).parse_args(arguments)
    rank = int(os.environ.get("RANK", "0"))
    first = rank == 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clusters end jobs with it
    try:
        job = read_job(options.config, kind)
        processes = join(options.engine)
        if processes.size > 1 and processes.first:
            print(f"{processes.size} processes", flush=True)
        job.output.mkdir(parents=True, exist_ok=True)
        with Report(job.output, told=processes.first) as report:
            if options.engine == TRL:
                from rlhf.lm import trl_engine  # TRL is not among the requirements

                trl_engine.train(job, report.record, processes=processes.size)
            else:
                for record in start(job, processes):
                    report.record(record)
    except KeyboardInterrupt:
        if first:
            print("interrupted; the same command goes on from the last saved step", file=sys.stderr)
        return INTERRUPTED
    except BadJob as error:
        if first:
            print(f"error: {error}", file=sys.stderr)
        return REFUSED
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error{'' if first else f' in process {rank}'}: {error}", file=sys.stderr)
        return FAILED
    if processes.size > 1:
        torch.distributed.destroy_process_group()
    if processes.first:
        print(f"done: {job.output}")
    return DONE


def parser(kind: type) -> argparse.ArgumentParser:
    """The options; the help names every field of run.json and every setting with its default."""
    kinds = dict.fromkeys([kind, *(other for other in POLICY_CONFIGS.values() if issubclass(other, kind))])
    parts = [f"run.json:\n{_fields(Job)}", *(f"config ({one.__name__}):\n{_fields(one)}" for one in kinds)]
    made = argparse.ArgumentParser(
        prog=f"python -m rlhf.lm.{Path(sys.argv[0]).stem}",
        description=f"Train without the site: {kind.__doc__}",
        epilog="\n\n".join(parts) + "\n\nexit codes: 0 done, 1 failed, 2 refused, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--config", type=Path, required=True, metavar="run.json", help="what to train")
    made.add_argument(
        "--engine",
        choices=(OURS, TRL),
        default=OURS,
        help="this project's loop, or TRL's trainers (for FSDP, DeepSpeed and vLLM); default %(default)s",
    )
    return made


def join(engine: str) -> Processes:
    """All processes that were launched together, connected. Raises BadJob where ours cannot serve them."""
    if engine == OURS:
        for name in SHARDED:
            if os.environ.get(name, "").lower() in ("1", "true", "yes", "on"):
                raise BadJob(
                    f"{name} is set: this project's loop keeps every weight in each process. "
                    "Use --engine trl for FSDP and DeepSpeed"
                )
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    state = PartialState(cpu=not torch.cuda.is_available())
    return Processes(state.process_index, state.num_processes)


class Report(contextlib.AbstractContextManager["Report"]):
    """Tells of each step in a line, and writes it whole into the metrics file, from one process.

    A run that goes on gives its earlier records again: they are written again, and not told again.
    """

    def __init__(self, folder: Path, *, told: bool) -> None:
        self.path = folder / METRICS
        self.file: TextIO | None = None
        self.told = told
        self.earlier = saved_step(folder)
        if told and self.earlier is not None:
            print(f"going on after step {self.earlier}", flush=True)

    def record(self, record: Record) -> None:
        """Take down one step."""
        if not self.told:
            return
        if self.file is None:
            self.file = self.path.open("w", encoding="utf-8")
        self.file.write(json.dumps(record_to_json(record), ensure_ascii=False) + "\n")
        self.file.flush()
        if self.earlier is None or record.step > self.earlier:
            print(line_of(record), flush=True)

    def __exit__(self, *_: object) -> None:
        if self.file:
            self.file.close()


def line_of(record: Record) -> str:
    """Such as `step 3 of 16: reward 0.52, kl 0.11, 3.2 s`."""
    said = [f"{name} {record.values[name]:.3g}" for name in TOLD if name in record.values]
    if "seconds" in record.values:
        said.append(f"{record.values['seconds']:.1f} s")
    note = f" ({record.note})" if record.note else ""
    return f"step {record.step} of {record.total}: {', '.join(said)}{note}"


def _fields(kind: Any) -> str:
    """Each field with its default, and what is said under it in the code."""
    source = "".join(inspect.getsource(part) for part in reversed(kind.__mro__[:-1]))
    said = dict(re.findall(r'^    (\w+): [^\n]*\n    """(.*?)"""$', source, re.M | re.S))
    lines = []
    for field in dataclasses.fields(kind):
        missing = field.default is dataclasses.MISSING
        default = "" if missing else f" = {field.default}"
        text = re.sub(r"\s+", " ", said.get(field.name, ""))
        lines.append(f"  {field.name}{default}" + (f"\n      {text}" if text else ""))
    return "\n".join(lines)
