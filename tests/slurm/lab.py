"""Sweeps of tiny trials on the cluster, and what must hold of them in the end."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from slurm.cluster import until
from tiny import CONF, SMALL_MODEL, TINY, final_weights, run

from ablation.store import attempt, journal
from ablation.store.atomic import write_atomic
from ablation.store.result import finished
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.overrides import quote_value
from launch.slurm.rounds import RoundReport, make_round
from launch.sweep import submission as sweep
from launch.sweep.submission import Submission

_FOLDER = TemporaryDirectory()
SCRATCH = Path(_FOLDER.name)  # the undisturbed runs, and a user's trick
LONG = "epochs=30"  # with a brake of a second, so that nothing is done before a test has had its way
_PLAIN = {"track": {}, "checkpoint": {"epochs": 0, "seconds": 0}}  # of runs that nothing happens to
RATES = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8")


def options(**changes: Any) -> dict[str, Any]:
    """The launcher's node as shipped, with these changes; one core a job."""
    folder = CONF / "hydra/launcher"
    node = {k: yaml.safe_load((folder / f).read_text())[k] for f in ("_retry.yaml",) for k in ("retry",)}
    node |= {k: v for k, v in yaml.safe_load((folder / "slurm.yaml").read_text()).items() if k != "defaults"}
    resources = {**node["resources"], "cpus": 1, **changes.pop("resources", {})}
    return {**node, "keeper": False, "resources": resources, **changes}


BRAKE = Path(__file__).with_name("brake.py")
shutil.copy(BRAKE, SCRATCH)
sys.path.insert(0, str(SCRATCH))  # what lies in this project is the project's, and this is to be a user's own module


@dataclass(frozen=True)
class Lab:
    """One folder of runs."""

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "runs"

    def brake(self, word: str | float | None, arm: int | None = None) -> None:
        """What all trials do at each step, or those of one arm: take so many seconds, or fail; None: nothing."""
        for k in range(len(RATES)) if arm is None else [arm]:
            path = self.folder / "brake" / str(k)
            path.parent.mkdir(exist_ok=True)
            if word is None:
                path.unlink(missing_ok=True)
            else:
                write_atomic(path, str(word).encode())

    def arms(self, count: int = 1, *more: str) -> list[Planned]:
        rows = [
            [*TINY, *SMALL_MODEL, f"optim.lr={rate}", f"out={quote_value(str(self.out))}", "lease=6", *more,
             "+aug.brake._target_=brake.brake", f"+aug.brake.arm={k}"]
            for k, rate in enumerate(RATES[:count])
        ]  # fmt: skip
        os.environ["BRAKE"] = str(self.folder / "brake")
        with initialized():
            return compose_arms(rows)

    def submit(self, arms: Sequence[Planned], **changes: Any) -> tuple[Submission, RoundReport]:
        submission = sweep.create(arms, options(**changes), "the command")
        return submission, make_round(submission.folder)

    def begun(self, submission: Submission, step: int = 1) -> None:
        """Every trial has a checkpoint."""
        until(lambda: all(saved(f) >= step for f in folders(submission)), "all trials to have begun")


def folders(submission: Submission) -> list[Path]:
    return [submission.out / w.id / f"seed-{seed}" for w in submission.works for seed in w.seeds]


def saved(folder: Path) -> int:
    """The step of the newest checkpoint."""
    return max((e["step"] for e in journal.events(folder) if e["event"] == "saved"), default=0)


def done(submission: Submission) -> bool:
    return all(finished(folder) for folder in folders(submission))


def rounds(submission: Submission, seconds: float = 180) -> list[RoundReport]:
    """Rounds until nothing more will happen."""
    made: list[RoundReport] = []

    def over() -> bool:
        made.append(make_round(submission.folder))
        return made[-1].over

    until(over, "the sweep to be over", seconds)
    return made


def worker(submission: Submission, trial: int) -> int:
    """The process that trains a trial."""
    folder = folders(submission)[trial]
    owner = attempt.owner(attempt.folder(folder, attempt.latest(folder)))
    assert owner is not None
    return owner.pid


def parent(pid: int) -> int:
    """Of a worker: its job's process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def attempts(submission: Submission) -> list[int]:
    return [attempt.latest(folder) for folder in folders(submission)]


def check(submission: Submission) -> None:
    """Every trial is done, once, with no epoch twice, and as an undisturbed run here does it."""
    for planned in submission.arms.values():
        reference = undisturbed(planned)
        for seed in planned.seeds:
            same(submission.out / planned.arm.id, reference, seed)


def undisturbed(planned: Planned) -> Path:
    """Run an arm in this process, with one thread as the jobs do; once for all tests. Returns its folder."""
    threads, brakes = torch.get_num_threads(), os.environ["BRAKE"]
    torch.set_num_threads(1)
    os.environ["BRAKE"] = "/none"
    try:
        planned.arm.write(SCRATCH / planned.arm.id, planned.config)  # its students read it
        run({**planned.config, "out": str(SCRATCH), **_PLAIN}, SCRATCH / planned.arm.id)
    finally:
        torch.set_num_threads(threads)
        os.environ["BRAKE"] = brakes
    return SCRATCH / planned.arm.id


def same(folder: Path, reference: Path, seed: int) -> None:
    """A trial is done, once, with no epoch twice, and as its reference."""
    here, there = folder / f"seed-{seed}", reference / f"seed-{seed}"
    result = finished(here)
    assert result is not None
    assert result["attempt"] == attempt.latest(here)
    epochs, expected = journal.history(journal.events(here)), journal.history(journal.events(there))
    assert [e["step"] for e in epochs] == [e["step"] for e in expected]
    for ours, theirs in zip(epochs, expected, strict=True):
        assert _measured(ours) == _measured(theirs)
    assert sum(e["event"] == "done" for e in journal.events(here)) == 1
    ours, theirs = final_weights(folder, seed), final_weights(reference, seed)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def _measured(epoch: dict[str, Any]) -> dict[str, float]:
    return {k: v for k, v in epoch["metrics"].items() if k != "images_per_s"}
