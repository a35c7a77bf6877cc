"""A worker process as its driver sees it: started on a slot, sent works, read for events, and ended.

What runs in it is `launch.workers.worker`, of the code that its submission has frozen.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from ablation.machine import allowance
from ablation.machine.faults import RESERVED, blamed
from launch.compose.arm import Work
from launch.status.outcome import Event, Outcome, decode, encode
from launch.status.retry_policy import Resources
from launch.sweep import entry_points
from launch.sweep.submission import Submission, require_code

OFFLINE = "ABLATION_OFFLINE"  # in a slot's `env`: leave the tracker alone; whoever drives uploads later
TAKE_TURNS = (
    "{option}: trials on one GPU take turns, which saves little time, unless NVIDIA's MPS runs there (its command is "
    "nvidia-cuda-mps-control -d); with it they run side by side"
)
_GRACE = 60.0  # seconds that a worker is given to save and end
_LOG_LINES = 400  # lines of a log; what torch says of an error of the GPU that ends a process is long


@dataclass(frozen=True)
class Slot:
    """A place for one worker at a time; each has a name of its own."""

    name: str  # also of its log file
    env: dict[str, str] = field(default_factory=dict, hash=False)  # such as CUDA_VISIBLE_DEVICES, OMP_NUM_THREADS
    memory_share: float = 1.0  # of its GPU's memory
    device: str = ""  # slots with the same text share a device
    gpu: bool = False  # it is a GPU: a worker that cannot use it fails, and takes no processor in its place


class WorkerProcess:
    """One worker process. It leads a session of its own: Ctrl-C in the terminal reaches the driver alone."""

    def __init__(self, submission: Submission, slot: Slot, memory_share: float) -> None:
        self.slot, self.memory_share = slot, memory_share
        self.log = submission.folder / "logs" / f"{slot.name}.log"
        self.work: Work | None = None  # at hand
        self.room = Resources()  # that the work was given
        self.ready = self.leaving = False
        self.output_ended = False  # so that it has ended too, or soon will
        self._text = b""
        self._kills = 0
        self._leaving_since = 0.0  # when (monotonic) it wrote that it is leaving
        require_code(submission.code)
        path = os.pathsep.join(filter(None, [str(submission.code), os.environ.get("PYTHONPATH")]))
        line = [sys.executable, "-P", "-m", submission.entries[entry_points.WORKER], str(submission.folder)]
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*line, "--memory-share", str(memory_share)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                cwd=submission.cwd,
                env={**os.environ, **({RESERVED: "1"} if slot.gpu else {}), **slot.env, "PYTHONPATH": path},
                start_new_session=True,
            )
        os.set_blocking(self.fileno(), False)

    def fileno(self) -> int:
        """Where its events come from; readable as well when it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def send(self, work: Work, room: Resources, supersede: Collection[str], probe: bool) -> None:
        """Send it a work to train, or only to try; whether it still lives is seen later, by the end of its events."""
        self.work, self.room, self._kills = work, room, allowance.oom_kills()
        self._write({"event": "train", "work": work, "supersede": list(supersede), "probe": probe})

    def finish_work(self, leaving: bool) -> None:
        """It has no work any more; if it is leaving, it gets no other."""
        self.work, self.leaving, self._leaving_since = None, leaving, time.monotonic()

    def events(self) -> Iterator[Event]:
        """What it has written since."""
        with suppress(BlockingIOError):
            while chunk := os.read(self.fileno(), 1 << 16):
                self._text += chunk
            self.output_ended = True
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            yield decode(line)

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def killed(self) -> bool:
        """Whether a signal ended the process, which did not end by itself."""
        return (self._process.poll() or 0) < 0

    @property
    def overdue(self) -> bool:
        """Whether it wrote that it is leaving, and for too long has not."""
        return self.leaving and time.monotonic() - self._leaving_since > _GRACE

    def reap(self) -> Outcome:
        """Wait until it has ended, end what it may have started, and return how it ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        oom = code == -signal.SIGKILL and allowance.oom_kills() > self._kills
        memory, lines = "; the machine was out of memory" if oom else "", self._log_tail()
        cause = "oom" if oom else blamed("\n".join(lines)) or "killed"
        telling = [line for line in lines if blamed(line)] or lines[-1:]  # what Python writes of a crash comes last
        last = f": {telling[0].strip()[:200]}" if telling else ""
        return Outcome("failed", cause, f"the worker {how}{memory}{last} (log: {self.log})")

    def stop(self) -> None:
        """Ask it to save, stop and end, even if somebody has suspended it."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it and all it started, at once."""
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: on macOS, for a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Ask it to end when it has nothing more to do."""
        self._write({"event": "close", "close": True})

    def retire(self) -> None:
        """End it when it has nothing more to do, and wait for that."""
        self.close()
        self.reap()

    def _write(self, order: Event) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(encode(order))

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def _log_tail(self) -> list[str]:
        """The last lines of its log, as far as they are about what it had at hand."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if line.strip()]
        about = [n for n, line in enumerate(lines) if line.startswith("---")]
        return lines[about[-1] + 1 :] if about else lines
