"""Show trials in MLflow while they run: one background thread reads the journals, training never waits for it."""

from __future__ import annotations

import shlex
import threading
import time
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from ablation.store import attempt
from ablation.store.journal import JOURNAL, events, settled, tail
from ablation.store.result import RESULT
from ablation.track.ready import check, reason
from ablation.track.server import without_password
from ablation.track.sink import Sink
from ablation.track.trial_files import numbers

if TYPE_CHECKING:
    from mlflow import MlflowClient

State = tuple[int, int]
_SLOWEST = 300.0  # seconds between two attempts on a tracker that is down
_LAST_ATTEMPTS = 3  # once the training is over: `sync` can do it later, the next trial should not wait
_LAST_PAUSE = 0.5  # seconds between those
_SHORTEST, _LONGEST = 0.01, 1e7  # seconds: a thread that waits less does nothing else, and none can wait for ever
_STOPPED = 5.0  # seconds to wait for them in a process that was asked to stop, and is perhaps killed soon
_BRIEFLY = 1.0  # seconds that later trials of a process wait for a tracker that let one wait in vain
_silent: set[str] = set()  # URIs of such trackers


def mlflow(uri: str, interval: float = 10.0, timeout: float = 30.0) -> Sink:
    """Upload every `interval` seconds; when the training is over, wait at most `timeout` seconds for the rest.

    `uri` is as in `mlflow ui --backend-store-uri`: `sqlite:///path/to/mlflow.db` or `http://host:port`.
    """
    if not _SHORTEST <= interval <= _LONGEST:
        raise ValueError(f"interval: {interval} is not a number of seconds from {_SHORTEST} to {_LONGEST:g}")
    if not 0 <= timeout <= _LONGEST:
        raise ValueError(f"timeout: {timeout} is not a number of seconds from 0 to {_LONGEST:g}")
    return MlflowFeed(check(uri), interval, timeout)


class MlflowFeed(Sink):
    """Uploads followed trials. What a journal settled is sent once; whatever the tracker does stays in this thread."""

    def __init__(self, uri: str, interval: float, timeout: float) -> None:
        self._uri, self._interval, self._timeout = uri, interval, timeout
        self._seen: dict[Path, State] = {}  # seed folder -> its files' state when last uploaded
        self._safe: dict[Path, int] = {}  # seed folder -> the epoch up to which all is uploaded
        self._client: MlflowClient | None = None
        self._trouble = ""
        self._closing = threading.Event()
        # A daemon: the interpreter may exit while a tracker hangs.
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    def follow(self, folder: Path) -> None:
        """Upload this trial from now on."""
        self._seen.setdefault(folder, (0, 0))
        if self._thread.ident is None:
            self._thread.start()

    def close(self, timeout: float = inf) -> list[str]:
        """Upload what is left, for at most the shorter of `timeout` and the sink's own timeout, in seconds."""
        if self._thread.ident is None:
            return []
        self._closing.set()
        patience = min(timeout, self._timeout, self._most())
        self._thread.join(patience)
        (_silent.add if self._thread.is_alive() else _silent.discard)(self._uri)
        if not self._thread.is_alive() and not self._trouble:
            return []
        missing = self._missing()
        what = f"{missing} points" if missing else "the end of the run"
        why = self._trouble or f"no answer within {patience:g} s"
        return [f"mlflow: {what} not uploaded to {without_password(self._uri, self._uri)}: {why}; run: {self._sync()}"]

    def _most(self) -> float:
        """Seconds that are worth waiting."""
        if self._uri in _silent:
            return _BRIEFLY
        newest = (attempt.folder(folder, attempt.latest(folder)) for folder in self._seen)
        return _STOPPED if any(last["event"] == "stopped" for f in newest for last in tail(f)[-1:]) else inf

    def _sync(self) -> str:
        """What is to be typed to upload the rest."""
        out = next(iter(self._seen)).parents[1]
        # A password is left to the trial's own configuration.
        uri = ["--uri", self._uri] if without_password(self._uri, self._uri) == self._uri else []
        return shlex.join(["ablation", "sync", "--out", str(out), *uri])

    def _missing(self) -> int:
        """How many points of the journals are not known to be uploaded."""
        return sum(
            len(numbers(epoch["metrics"]))
            for folder in self._seen
            for epoch in settled(events(folder))
            if epoch["epoch"] > self._safe.get(folder, -1)
        )

    def _work(self) -> None:
        pause = self._interval
        while not self._closing.is_set():
            self._trouble = self._attempt()
            pause = min(2 * pause, max(_SLOWEST, self._interval)) if self._trouble else self._interval
            self._closing.wait(pause)
        for _ in range(_LAST_ATTEMPTS):
            self._trouble = self._attempt()
            if not self._trouble:
                return
            time.sleep(_LAST_PAUSE)

    def _attempt(self) -> str:
        """Upload what is new; returns what went wrong, in one line."""
        try:
            # Imported here, in the thread: it takes more than a second, and the training has begun.
            from ablation.track.client import connect
            from ablation.track.upload import upload

            self._client = self._client or connect(self._uri)
            for folder in list(self._seen):
                state = _state(folder)
                if state != self._seen[folder]:
                    epochs = settled(events(folder))
                    upload(self._client, folder)
                    self._safe[folder] = epochs[-1]["epoch"] if epochs else -1
                    self._seen[folder] = state
        except Exception as e:  # trackers fail in every way there is; none may reach the training
            return reason(self._uri, e)
        return ""


def _state(folder: Path) -> State:
    """Changes whenever there may be something new: the journals' bytes, or when the result was written."""
    journals = [attempt.folder(folder, number) / JOURNAL for number in attempt.numbers(folder)]
    result = folder / RESULT
    written = sum(journal.stat().st_size for journal in journals if journal.exists())
    return written, result.stat().st_mtime_ns if result.exists() else 0
