"""Why trials that are not done were tried again or given up: one line each in `<submission>/verdicts.jsonl`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from launch.status.retry_policy import Failure
from launch.sweep.submission import Work

_FILE = "verdicts.jsonl"
RETRY, STOP, HOLD, FORGIVE = "retry", "stop", "hold", "forgive"


@dataclass(frozen=True)
class Verdict:
    """What one round decided about one piece of work; `array` is where it failed."""

    work: Work
    decision: str  # RETRY, STOP, HOLD (a canary failed), or FORGIVE (a person asked to try it again)
    reason: str = ""
    array: int = 0
    cause: str = ""
    step: int = 0
    node: str = ""
    device: bool = False
    time: float = 0.0

    @property
    def failure(self) -> Failure:
        """As the policy takes it."""
        return Failure(self.cause, self.step, self.node, self.device)


def append(folder: Path, verdicts: Iterable[Verdict]) -> None:
    """Add to the file; on disk when this returns. The caller holds the submission's lock."""
    now = round(time.time(), 3)
    lines = [json.dumps({**asdict(v), "work": [v.work.id, list(v.work.seeds)], "time": now}) for v in verdicts]
    if not lines:
        return
    with (folder / _FILE).open("a") as file:
        file.write("\n" + "\n".join(lines) + "\n")  # an empty line first: the last one may be torn
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> dict[Work, list[Verdict]]:
    """Of each work since it was last forgiven (that included), one an array, oldest first."""
    try:
        lines = (folder / _FILE).read_text().splitlines()
    except FileNotFoundError:
        return {}
    found: dict[Work, dict[int, Verdict]] = {}
    for line in lines:
        verdict = _verdict(line)
        if verdict is None:
            continue
        if verdict.decision == FORGIVE:
            found[verdict.work] = {}
        found.setdefault(verdict.work, {})[verdict.array] = verdict
    return {work: [of[n] for n in sorted(of)] for work, of in found.items()}


def _verdict(line: str) -> Verdict | None:
    try:
        content = json.loads(line)
    except ValueError:  # empty, or torn by a kill
        return None
    id_, seeds = content.pop("work")
    return Verdict(Work(id_, tuple(seeds)), **content)
