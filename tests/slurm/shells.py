"""The shells of a soak: what is typed in them, how long it takes, what it says, and whether that is true."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launch.compose.paths import ROOT

LIMIT = 60.0  # seconds that a command may take on a machine with nothing else to do
_SCREEN = 24, 3000  # lines and characters of what a command says on standard error
_CODES = {0, 1, 2, 130, -signal.SIGINT}

Judge = Callable[["Typed"], list[str]]  # what is wrong with what a command said


@dataclass
class Typed:
    """One command."""

    words: list[str]
    began: float  # seconds since the soak began
    seconds: float = 0.0
    code: int | None = None  # None: it was ended, since it took too long
    out: str = ""
    err: str = ""
    wrong: list[str] = field(default_factory=list)
    unasked: str = ""  # it said that it could not ask SLURM, and whether the judge could

    @property
    def verb(self) -> str:
        return self.words[0]

    @property
    def hung(self) -> bool:
        return self.code is None


class Shells:
    """Types commands, several at one time."""

    def __init__(self, clock: Callable[[], float], env: dict[str, str], cwd: Path) -> None:
        self.typed: list[Typed] = []
        self._clock, self._env, self._cwd = clock, {**os.environ, **env}, cwd
        self._busy: list[threading.Thread] = []

    def ablation(self, *words: str, judge: Judge | None = None, leave_after: float | None = None) -> Typed:
        """`ablation WORDS`; see `type`."""
        return self.type([sys.executable, "-m", "launch"], words, judge, leave_after)

    def run(self, *words: str, judge: Judge | None = None) -> Typed:
        """`python launch/run.py WORDS`."""
        return self.type([sys.executable, str(ROOT / "launch/run.py")], ["run", *words], judge)

    def aside(self, act: Callable[[], object]) -> None:
        """In a shell of its own, while others go on."""
        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        self._busy.append(thread)

    def wait(self) -> None:
        """Until every shell is idle."""
        for thread in self._busy:
            thread.join()

    def type(
        self, program: Sequence[str], words: Sequence[str], judge: Judge | None, leave_after: float | None = None
    ) -> Typed:
        """Type it and wait for its end, or for at most a minute; with `leave_after`, Ctrl-C after so many seconds."""
        typed = Typed(list(words), self._clock())
        self.typed.append(typed)
        line = [*program, *(words[1:] if words[0] == "run" else words)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(line, cwd=self._cwd, env=self._env, stdout=pipe, stderr=pipe, text=True)
        try:
            typed.out, typed.err = process.communicate(timeout=leave_after or limit())
        except subprocess.TimeoutExpired:
            self._leave(process, typed, bool(leave_after))
        typed.code = None if process.returncode == -signal.SIGKILL else process.returncode
        typed.seconds = self._clock() - typed.began
        typed.wrong = [] if typed.hung else [*_wrong(typed), *(judge(typed) if judge else [])]
        return typed

    def _leave(self, process: subprocess.Popen[str], typed: Typed, asked: bool) -> None:
        """End it: by Ctrl-C, where that is how it is left, else at once."""
        if asked:
            process.send_signal(signal.SIGINT)  # exit code 130; while Python starts, also the signal itself
        else:
            process.kill()
        try:
            typed.out, typed.err = process.communicate(timeout=limit())
        except subprocess.TimeoutExpired:
            process.kill()
            typed.out, typed.err = process.communicate()


def limit() -> float:
    """Seconds that a command may take now: others may keep the machine busy."""
    return LIMIT * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _wrong(typed: Typed) -> list[str]:
    """What no command may say, whatever happens."""
    found = []
    if typed.code not in _CODES:
        found.append(f"exit code {typed.code}")
    text, left = typed.err + typed.out, typed.code in (130, -signal.SIGINT)
    if "Traceback" in text and not (left and "/launch/" not in text):  # by Ctrl-C before our first line
        found.append("a traceback")
    if len(typed.err.splitlines()) > _SCREEN[0] or len(typed.err) > _SCREEN[1]:
        found.append(f"{len(typed.err.splitlines())} lines on standard error")
    if typed.code in (1, 2) and not text.strip():
        found.append("failed without a word")
    if "--json" in typed.words and not left:
        try:
            json.loads(typed.out)
        except ValueError:
            found.append("no JSON on standard output")
    return found


def patient(command: Sequence[str], seconds: float = LIMIT) -> str:
    """An admin's command, whose failure is told and changes nothing: SLURM may be away."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not answer"
    return "" if done.returncode == 0 else " ".join((done.stderr or done.stdout).split())[:200]


def wait_until(look: Callable[[], bool], seconds: float, pause: float = 0.5) -> bool:
    """Whether it came true in that time."""
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True
