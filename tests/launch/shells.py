"""Runs and sweeps as people type them into shells, in real processes, and what these leave behind."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from tiny import Silent, final_weights

from ablation.store import attempt, journal
from ablation.trial import run as trial
from ablation.trial.parts import parts
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.workers.driver import DRIVER, living_driver
from tests.launch.workshop import BASE, ROOT, until

MINE = ROOT / "tests" / "slurm"  # where the brake is
GRID = ("optim.lr=0.1,0.2", "seeds=2")
_BRAKED = (*BASE, "+aug.brake={_target_: brake.brake, arm: 0}")
SECONDS = 400  # for which something is waited for: machines are shared
_SCRATCH = ("*.tmp", ".claim-*", ".probe-*", "beat", "next.pt")


class Place:
    """A folder of runs, the shells that work on it, and a brake for their trials."""

    def __init__(self, folder: Path) -> None:
        self.out, self.brake = folder / "out", folder / "0"
        self.env = {**os.environ, "BRAKE": str(folder), "PYTHONPATH": str(MINE)}
        folder.mkdir(exist_ok=True)
        self._shells: list[Shell] = []

    def sweep(self, *overrides: str, grid: Sequence[str] = GRID) -> list[str]:
        """Four trials: two arms of two seeds, on two workers."""
        place = ("hydra.launcher.workers=2", "hydra.launcher.check=false")
        return ["launch/run.py", "-m", *_BRAKED, *grid, *place, f"out={self.out}", *overrides]

    def single(self, *overrides: str) -> list[str]:
        """The first of them."""
        return ["launch/run.py", *_BRAKED, "optim.lr=0.1", "seeds=[0]", f"out={self.out}", *overrides]

    def verb(self, *words: str) -> list[str]:
        return ["-m", "launch", *words, "--out", str(self.out)]

    def start(self, line: list[str], *before: str) -> Shell:
        """In the background; `before` are words to be put before the line."""
        self._shells.append(Shell([*before, sys.executable, *line], self.env, self.out.parent))
        return self._shells[-1]

    def close(self) -> None:
        """End what a test that failed has left."""
        for shell in self._shells:
            shell.process.kill()
            shell.process.wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def finish(self, line: list[str], code: int = 0) -> str:
        """Wait for its end; what it printed."""
        return self.start(line).wait(code)

    def slow(self, seconds: float = 2.0) -> None:
        """Let each step take so long, also those that were begun before."""
        self.brake_by(str(seconds))

    def brake_by(self, word: str, arm: int = 0) -> None:
        """Let the trials of one brake do as its file says."""
        scratch = self.brake.with_name("brake.new")  # who reads a file that is being written finds it empty
        scratch.write_text(word)
        scratch.replace(self.brake.with_name(str(arm)))

    def hold(self) -> None:
        """Let no step end until the brake is loosened."""
        self.slow(1000)

    def fast(self) -> None:
        self.brake.unlink(missing_ok=True)

    def processes(self, word: str = "") -> list[int]:
        """The processes whose command line names this folder, and has this word."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(FileNotFoundError, ProcessLookupError):
                text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(self.out) in text and word in text:
                    found.append(int(path.parent.name))
        return sorted(found)

    def workers(self) -> list[int]:
        return self.processes("launch.workers.worker")

    def trials(self) -> list[Path]:
        """The folders of the seeds that were begun."""
        return sorted({path.parent for path in self.out.glob("*/seed-*/attempt-*")})

    def begun(self, number: int = 1) -> list[Path]:
        """The trials of whose attempt of this number an epoch is over."""
        return [t for t in self.trials() if any(e["event"] == "epoch" for e in _events(t, number))]

    def last_words(self) -> list[str]:
        """How the newest attempt at each trial ended, by its journal."""
        return [_events(t, attempt.latest(t))[-1]["event"] for t in self.trials()]

    def clean(self) -> bool:
        """Whether no process is left, no driver's name, and no file that is there only as long as somebody works."""
        drivers = [f for f in self.out.glob(".sweeps/*/*") if (f / DRIVER).exists() and living_driver(f)]
        left = [path for name in _SCRATCH for path in self.out.rglob(name)]
        assert (self.processes(), drivers, left) == ([], [], [])
        return True

    def gone(self) -> bool:
        return not self.processes()

    def numbers(self) -> list[list[int]]:
        """The attempts at each trial."""
        return [attempt.numbers(t) for t in self.trials()]


class Shell:
    """A command in the background, and what it prints."""

    def __init__(self, line: list[str], env: dict[str, str], folder: Path) -> None:
        self._file = folder / f"shell-{uuid4().hex}.txt"
        with self._file.open("w") as file:
            self.process = subprocess.Popen(
                line, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )

    @property
    def said(self) -> str:
        return self._file.read_text()

    def wait(self, code: int = 0) -> str:
        """Until it has ended, with this exit code; what it printed."""
        self.process.wait(SECONDS)
        assert self.process.returncode == code, self.said
        return self.said

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)


def _events(seed_folder: Path, number: int) -> list[journal.Event]:
    return journal.read(attempt.folder(seed_folder, number) / journal.JOURNAL)


def train_undisturbed(out: Path) -> None:
    """The four trials, one after the other in this process; $BRAKE and the brake's module have to be there."""
    with initialized():
        planned = compose_arms([[*_BRAKED, f"optim.lr={lr}", "seeds=2", f"out={out}"] for lr in (0.1, 0.2)])
    for p in planned:
        trial.run(p.config, parts(p.config), out / p.arm.id, Silent())


def assert_same(undisturbed: Path, place: Place, trials: int = 4, but: Collection[str] = ()) -> None:
    """So many trials are done, each once, with the weights and results, but for some, of those nobody disturbed."""
    varies = {"seconds", "images_per_s", "peak_mem_mib", "attempts", "attempt", *but}
    done = sorted(path.parent for path in place.out.glob("*/seed-*/result.json"))
    assert len(done) == trials
    for folder in done:
        other = undisturbed / folder.relative_to(place.out)
        one, two = (json.loads((f / "result.json").read_text()) for f in (other, folder))
        assert {k: v for k, v in one.items() if k not in varies} == {k: v for k, v in two.items() if k not in varies}
        assert _curve(folder) == _curve(other)
        seed = int(folder.name.removeprefix("seed-"))
        a, b = final_weights(other.parent, seed), final_weights(folder.parent, seed)
        assert [k for k in a if not torch.equal(a[k], b[k])] == []


def _curve(folder: Path) -> list[dict[str, Any]]:
    epochs = journal.history(journal.events(folder))
    return [{**e["metrics"], "images_per_s": 0.0, "epoch": e["epoch"]} for e in epochs]


class Terminal:
    """A terminal with a shell in it."""

    def __init__(self, place: Place) -> None:
        self._master, inner = pty.openpty()
        self.text = ""
        # setsid, so that it is the shell's own terminal, which a Ctrl-C in it reaches and whose end sends SIGHUP
        self.shell = subprocess.Popen(
            ["env", "--default-signal=HUP", "setsid", "--ctty", "bash", "--norc", "--noprofile", "-i"],
            cwd=ROOT,
            env={**place.env, "TERM": "xterm", "PS1": "$ "},
            stdin=inner,
            stdout=inner,
            stderr=inner,
        )
        os.close(inner)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def read(self) -> str:
        """All that was written in it so far."""
        while self._master >= 0 and select.select([self._master], [], [], 0)[0]:
            try:
                self.text += os.read(self._master, 1 << 16).decode(errors="replace")
            except OSError:  # the shell has ended
                break
        return self.text

    def close(self) -> None:
        """As by the cross in the corner of its window."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


@contextmanager
def terminal(place: Place) -> Iterator[Terminal]:
    """Open one; it is closed at the end."""
    opened = Terminal(place)
    try:
        yield opened
    finally:
        opened.close()
        with suppress(subprocess.TimeoutExpired):
            opened.shell.wait(20)
        opened.shell.kill()
        opened.shell.wait()


def wait_for_end(place: Place, opened: Terminal | None = None) -> None:
    """Until no process works on the folder; what they print is read, or they would wait for that."""
    wait(lambda: (opened.read() if opened else None, place.gone())[1])


def wait(what: Callable[[], Any]) -> Any:
    """Until something is true; returns it."""
    return until(what, SECONDS)
