"""Keep one process running: `python -m annotator.site.keep COMMAND …`.

Starts it again when it dies, stops it (and all it started) when told to, or when whoever started
the keeper is gone, so that nothing outlives `make run`, not even after kill -9.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import FrameType

STOP_SECONDS = 4.0
"""Time to end by itself before it is killed; honcho kills the keeper after five."""
HEALTHY_SECONDS = 10.0
LONGEST_PAUSE = 30.0


class Stopped(Exception):
    """The keeper was asked to stop."""


def keep(command: list[str]) -> int:
    """Run `command` again and again until a signal or the parent's end; give the exit code."""
    parent = os.getppid()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    pause = 0.5
    child: subprocess.Popen[bytes] | None = None
    try:
        while True:
            started = time.monotonic()
            child = subprocess.Popen(command, start_new_session=True)
            while child.poll() is None:
                if os.getppid() != parent:
                    raise Stopped
                time.sleep(0.25)
            pause = 0.5 if time.monotonic() - started > HEALTHY_SECONDS else min(pause * 2, LONGEST_PAUSE)
            _say(f"the process ended with {child.returncode} and starts again in {pause:.1f} s")
            time.sleep(pause)
    except Stopped:
        if child is not None:
            _end(child)
        return 0


def _stop(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _say(f"process {child.pid} did not end within {STOP_SECONDS:.0f} s and is killed")
    try:
        os.killpg(child.pid, signal.SIGKILL)  # also what it left behind in its session
    except ProcessLookupError:
        return
    child.wait()


def _say(text: str) -> None:
    sys.stderr.write(f"keep: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.stderr.write((__doc__ or "") + "\n")
        sys.exit(2)
    sys.exit(keep(sys.argv[1:]))
