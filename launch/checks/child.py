"""The process that does the steps of a check, as the launcher sees it: it gets arm by arm, and ends when time is up."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from launch.compose.paths import ROOT

_GRACE = 2.0  # seconds that it is given to end

Answer = Mapping[str, Any]


def answers(questions: Sequence[Mapping[str, Any]], seconds: float) -> list[Answer | None]:
    """An answer of `ablation.trial.fingerprint` for each question; None where time was up before it came."""
    deadline = time.monotonic() + seconds
    found: list[Answer | None] = []
    child: subprocess.Popen[bytes] | None = None
    try:
        for question in questions:
            left = deadline - time.monotonic()
            if left <= 0:
                found.append(None)
                continue
            child = child or _start()
            found.append(_ask(child, question, left))
            if child.poll() is not None:  # a trick took it along; the other arms are asked of another
                _end(child)
                child = None
    finally:
        if child is not None:
            _end(child)
    return found


def _start() -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl-C in the terminal reaches the launcher alone.

    One thread: batches are small, and where other processes compute too, threads wait for each other ten times as long.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "ablation.trial.fingerprint"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def _ask(child: subprocess.Popen[bytes], question: Mapping[str, Any], seconds: float) -> Answer | None:
    assert child.stdin is not None
    assert child.stdout is not None
    deadline, text = time.monotonic() + seconds, b""
    with suppress(BrokenPipeError):
        child.stdin.write(json.dumps(question).encode() + b"\n")
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        chunk = os.read(child.stdout.fileno(), 1 << 16)
        if not chunk:
            return {"error": f"its process ended with exit code {child.wait()}"}
        text += chunk
    answer: Answer = json.loads(text)
    return answer


def _end(child: subprocess.Popen[bytes]) -> None:
    """With all that tricks may have started."""
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_GRACE)
    with suppress(ProcessLookupError, PermissionError):  # PermissionError: on macOS, for a group of zombies
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        assert pipe is not None
        pipe.close()
