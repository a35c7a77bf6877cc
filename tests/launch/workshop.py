"""Real workers on tiny trials, and tricks that misbehave in every way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny import CONF, SMALL_MODEL, TINY

from launch.compose.arm import Work
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.sweep import entry_points
from launch.sweep import submission as sweep
from launch.sweep.submission import Submission

ROOT = CONF.parent
BASE = (*TINY, *SMALL_MODEL)

# A module of the user's own. `mischief(how, step)` does it in step number `step` of the process's first trial with it.
TRICKS = """
import ctypes, os, signal, subprocess, sys, threading, time
from pathlib import Path

def mischief(how, step=3, once=""):
    if how == "print":
        print("a library prints without end of line", end="")
        os.write(1, b"a C library prints")
        subprocess.run(["echo", "a child prints"])
    calls = [0]
    def aug(batch, key):
        if not training():
            return batch
        calls[0] += 1
        if calls[0] == step and not (once and Path(once).exists()):
            if once:
                Path(once).touch()
            DEEDS[how]()
        return batch
    return aug

def training():  # a step, and none of the calls before the training, where every trick is tried
    frame = sys._getframe()
    while frame and not frame.f_code.co_filename.endswith("ablation/train.py"):
        frame = frame.f_back
    return frame is not None

def fail():
    raise RuntimeError("it broke at 17")

def ecc():  # as torch says it
    raise RuntimeError("CUDA error: uncorrectable ECC error encountered\\nCUDA kernel errors might be asynchronously")

def ecc_abort():  # as a process ends in which a thread of torch says it
    print("terminate called after throwing an instance of 'c10::Error'", file=sys.stderr)
    print("  what():  CUDA error: uncorrectable ECC error encountered", file=sys.stderr)
    print("Exception raised from c10_cuda_check_implementation", file=sys.stderr, flush=True)
    os.abort()

def linger():
    if os.fork() == 0:  # a child that holds all that is open
        time.sleep(600)
    os.kill(os.getpid(), signal.SIGKILL)

def hog():
    held = []
    while True:
        held.append(b"x" * (32 << 20))

def stay():
    threading.Thread(target=time.sleep, args=(600,)).start()  # for which Python waits at its end
    os.kill(os.getpid(), signal.SIGTERM)

DEEDS = {
    "exit": lambda: os._exit(3), "kill": lambda: os.kill(os.getpid(), signal.SIGKILL), "raise": fail,
    "segfault": lambda: ctypes.string_at(0), "leave": lambda: sys.exit("I leave"), "print": lambda: print("and prints"),
    "ecc": ecc, "ecc_abort": ecc_abort, "memory": lambda: bytearray(1 << 60), "stay": stay, "hog": hog,
    "linger": linger, "wait": lambda: time.sleep(5), "sleep": lambda: (print("asleep", flush=True), time.sleep(600)),
}
"""


def tricks(folder: Path) -> Path:
    """A folder to be on the path, with the module `tricks_of_mine`."""
    folder.mkdir(exist_ok=True)
    (folder / "tricks_of_mine.py").write_text(TRICKS)
    return folder


def mischief(how: str, **values: Any) -> list[str]:
    """The overrides that add it."""
    settings = {"_target_": "tricks_of_mine.mischief", "how": how, **values}
    return [f"+aug.mischief={{{','.join(f'{k}: {v}' for k, v in settings.items())}}}"]


def submission(out: Path, *rows: list[str]) -> Submission:
    """Tiny arms, frozen."""
    with initialized():
        planned = compose_arms([[*BASE, *row, f"out={out}"] for row in rows])
    return sweep.create(planned, {"kind": "local"}, "the command")


def until(what: Callable[[], Any], seconds: float = 120) -> Any:
    """Wait for something true."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
    return found


class Worker:
    """A worker process and the driver's end of its line."""

    def __init__(self, made: Submission, log: Any = subprocess.PIPE) -> None:
        line = [sys.executable, "-P", "-m", made.entries[entry_points.WORKER], str(made.folder)]
        self.process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=made.cwd,
            env={**os.environ, "PYTHONPATH": str(made.code)},
        )

    def order(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def train(self, work: Work) -> None:
        self.order({"work": [work.id, list(work.seeds)], "supersede": [], "probe": False})

    def event(self, kind: str) -> dict[str, Any]:
        """The next event of this kind; every line before it is an event too."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == kind:
                return event
        raise AssertionError(f"ended without {kind}: {self.process.communicate()[1].decode()}")

    def end(self) -> str:
        """Wait for its end; what it wrote on standard error."""
        _, said = self.process.communicate(timeout=60)
        return said.decode()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
