"""One configuration, its seeds, from start or checkpoint to result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ablation import journal
from ablation.build import build, build_all
from ablation.errors import AblationError, ConfigError, Diverged
from ablation.lane import Lane
from ablation.memory import keep_freed_memory
from ablation.parts import Parts
from ablation.precision import Precision, choose_device, choose_precision
from ablation.prepare import prepare, resume, steps, to_device
from ablation.record import Files
from ablation.result import Result, conclude, device_name, facts, finished, parameters, reset_peak_memory, write
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
    device = choose_device(top.device)
    keep_freed_memory()
    data: Data = build(config["data"], "data")
    if len(data.train) < top.batch_size:
        raise ConfigError(f"batch_size={top.batch_size}: there are only {len(data.train)} training images")
    sinks: list[Sink] = list(build_all(config["track"], "track").values())
    shared = _Shared(config, built, to_device(data, device), device, folder, sinks, watch, stop)
    try:
        for seeds in [todo] if top.fuse else [[seed] for seed in todo]:
            outcomes |= shared.run(seeds)
    finally:
        for sink in sinks:
            for warning in sink.close():
                watch.note(warning)
    return outcomes


@dataclass(frozen=True)
class _Shared:
    """What all seeds of a run share."""

    config: Mapping[str, Any]
    built: Parts
    data: Data
    device: torch.device
    folder: Path
    sinks: Sequence[Sink]
    watch: Watch
    stop: Callable[[], bool]

    def run(self, seeds: Sequence[int]) -> Outcomes:
        """Train these seeds, together as far as they have come equally far."""
        outcomes: Outcomes = {}
        lanes: list[Lane] = []
        with ExitStack() as held:
            for seed in seeds:
                try:
                    lane = held.enter_context(_open_lane(seed, seed_folder(self.folder, seed)))
                except _BusyError as e:
                    outcomes[seed] = e
                    continue
                done = finished(lane.folder)  # by another process, before the lock was free
                if done is None:
                    lanes.append(lane)
                else:
                    outcomes[seed] = done
            for group, precision, step in self._groups(lanes):
                outcomes |= self._train(group, precision, step)
        return outcomes

    def _groups(self, lanes: Sequence[Lane]) -> list[tuple[list[Lane], Precision, int]]:
        """Lanes that can go on together: begun in one precision, with checkpoints of a common step."""
        by_precision: dict[str, list[Lane]] = {}
        for lane in lanes:
            by_precision.setdefault(_earlier_precision(lane) or self.built.scalars.precision, []).append(lane)
        groups = []
        for name, alike in by_precision.items():
            precision, saved = choose_precision(name, self.device), [steps(lane.folder) for lane in alike]
            common = set(saved[0]).intersection(*saved[1:])
            if common:
                groups.append((alike, precision, max(common)))
                continue
            newest = [max(s, default=0) for s in saved]
            for step in sorted(set(newest)):
                groups.append(([lane for lane, s in zip(alike, newest, strict=True) if s == step], precision, step))
        return groups

    def _train(self, lanes: Sequence[Lane], precision: Precision, step: int) -> Outcomes:
        reset_peak_memory(self.device)
        top, seeds = self.built.scalars, [lane.seed for lane in lanes]
        plan, state = prepare(self.config, self.built, self.data, precision, seeds)
        resume(state, [lane.folder for lane in lanes], step)
        name, count = device_name(self.device), parameters(state, len(lanes))
        for lane in lanes:
            lane.begin(step, name, precision.name, self.data.about["pixels"])
            for sink in self.sinks:
                sink.follow(lane.folder)
        why = f"{precision.name} ({precision.why})"
        self.watch.begin(Leg(seeds, top.epochs, plan.steps, step, name, why, count))
        try:
            train(plan, state, Files(plan, self.data, lanes, top, self.watch, self.stop, step))
        except Diverged:
            pass  # every lane has failed, and its journal says how
        except Exception as e:
            for lane in lanes:
                lane.broken(e)
            raise
        shared = facts(plan, state, self.data)
        return {lane.seed: self._end(lane, shared) for lane in lanes}

    def _end(self, lane: Lane, shared: Mapping[str, Any]) -> Result | AblationError:
        if lane.failed:
            return Diverged(lane.failed)
        result = conclude(lane.folder, lane.seed, shared)
        lane.journal.write("done", result=result)
        write(lane.folder, result)
        self.watch.end(lane.seed, result)
        return result


class _BusyError(AblationError):
    """Another process trains this seed."""


@contextmanager
def _open_lane(seed: int, folder: Path) -> Iterator[Lane]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            lane = Lane(seed, folder)
            try:
                yield lane
            finally:
                lane.journal.close()
    except Timeout as e:
        raise _BusyError(f"seed {seed}: another process is training it in {folder}; wait for it or stop it") from e


def _earlier_precision(lane: Lane) -> str | None:
    """A trial ends in the precision in which it began, whichever machine resumes it."""
    starts = [e for e in journal.read(lane.journal.path) if e["event"] == "start"]
    return str(starts[-1]["precision"]) if starts else None
