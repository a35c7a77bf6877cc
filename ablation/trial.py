"""One configuration, its seeds, from start or checkpoint to result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ablation import journal
from ablation.build import build, build_all
from ablation.errors import AblationError, ConfigError, Diverged
from ablation.parts import Parts
from ablation.precision import choose_device, choose_precision
from ablation.prepare import prepare, resume, to_device
from ablation.record import Files, Lane
from ablation.result import Result, conclude, device_name, facts, finished, parameters, write
from ablation.track.sink import Sink
from ablation.train import train
from ablation.types import Data
from ablation.watch import Leg, Watch

Outcomes = dict[int, Result | AblationError]  # by seed


def seed_folder(folder: Path, seed: int) -> Path:
    """Where a trial's files lie."""
    return folder / f"seed-{seed}"


def run(
    config: Mapping[str, Any], built: Parts, folder: Path, watch: Watch, stop: Callable[[], bool] = lambda: False
) -> Outcomes:
    """Train every seed that has no result yet, resuming where a checkpoint is; one outcome a seed.

    `built` is `parts(config)`, which has checked the configuration.

    Raises:
        ConfigError, DataError: before anything is trained.
        Stopped: asked to stop; the state is saved.
    """
    top = built.scalars
    results = {seed: finished(seed_folder(folder, seed)) for seed in top.seeds}
    outcomes: Outcomes = {seed: result for seed, result in results.items() if result is not None}
    todo = [seed for seed in top.seeds if seed not in outcomes]
    if not todo:
        return outcomes
    data: Data = build(config["data"], "data")
    if len(data.train) < top.batch_size:
        raise ConfigError(f"batch_size={top.batch_size}: there are only {len(data.train)} training images")
    sinks: list[Sink] = list(build_all(config["track"], "track").values())
    together = _Together(config, built, data, folder, sinks, watch, stop)
    try:
        for seeds in [todo] if top.fuse else [[seed] for seed in todo]:
            outcomes |= together.train(seeds)
    finally:
        for sink in sinks:
            for warning in sink.close():
                watch.note(warning)
    return outcomes


@dataclass(frozen=True)
class _Together:
    """What all seeds of a run share."""

    config: Mapping[str, Any]
    built: Parts
    data: Data
    folder: Path
    sinks: Sequence[Sink]
    watch: Watch
    stop: Callable[[], bool]

    def train(self, seeds: Sequence[int]) -> Outcomes:
        """Train these seeds as one."""
        top = self.built.scalars
        with ExitStack() as held:
            lanes = [held.enter_context(_open_lane(seed, seed_folder(self.folder, seed))) for seed in seeds]
            precision = choose_precision(_earlier_precision(lanes) or top.precision, choose_device(top.device))
            data = to_device(self.data, precision.device)
            if precision.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(precision.device)
            plan, state = prepare(self.config, self.built, data, precision, seeds)
            resume(state, [lane.folder for lane in lanes])
            name, count = device_name(precision.device), parameters(state, len(lanes))
            for lane in lanes:
                lane.begin(step=state.step, device=name, precision=precision.name)
                for sink in self.sinks:
                    sink.follow(lane.folder)
            why = f"{precision.name} ({precision.why})"
            self.watch.begin(Leg(seeds, top.epochs, plan.steps, state.step, name, why, count))
            with suppress(Diverged):  # every lane has failed, and says how
                train(plan, state, Files(plan, data, lanes, top, self.watch, self.stop))
            shared = facts(plan, state, data)
            return {lane.seed: self._end(lane, shared) for lane in lanes}

    def _end(self, lane: Lane, shared: Mapping[str, Any]) -> Result | AblationError:
        if lane.failed:
            return Diverged(lane.failed)
        result = conclude(lane.folder, lane.seed, shared)
        lane.journal.write("done", result=result)
        write(lane.folder, result)
        self.watch.end(lane.seed, result)
        return result


@contextmanager
def _open_lane(seed: int, folder: Path) -> Iterator[Lane]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as e:
        raise AblationError(f"seed {seed}: another process is training it in {folder}; wait for it or stop it") from e
    lane = Lane(seed, folder)
    try:
        yield lane
    finally:
        lane.journal.close()
        lock.release()


def _earlier_precision(lanes: Sequence[Lane]) -> str | None:
    """A trial ends in the precision in which it began, whichever machine resumes it."""
    starts = [e for lane in lanes for e in journal.read(lane.journal.path) if e["event"] == "start"]
    return str(starts[-1]["precision"]) if starts else None
