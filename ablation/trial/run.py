"""One configuration, its seeds, from start or checkpoint to result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from traceback import clear_frames
from typing import Any

import torch

from ablation.build import build
from ablation.contract.check import check
from ablation.contract.dataset import check_data
from ablation.errors import Cancelled, ConfigError
from ablation.learner import Teacher
from ablation.machine import threads
from ablation.machine.compiling import make_room
from ablation.machine.device import choose_device
from ablation.machine.memory import keep_freed_memory
from ablation.machine.precision import Precision, choose_precision
from ablation.source import reader
from ablation.state import unpack
from ablation.store import code
from ablation.store.attempt import Busy, seed_folder
from ablation.store.claim import Finished, claim
from ablation.store.result import Damaged, Outcomes, look
from ablation.track.guarded import sinks
from ablation.track.sink import Sink
from ablation.train import train
from ablation.trial import teacher, teacher_weights
from ablation.trial.observer import Leg, Watch
from ablation.trial.parts import Parts, build_optimizer
from ablation.trial.prepare import prepare, to_device
from ablation.trial.recorder import Files, Over
from ablation.trial.replica import Lane, blaming
from ablation.trial.result_facts import device_name, facts, parameters, reset_peak_memory
from ablation.trial.too_short import remarks
from ablation.types import Data

_Group = tuple[list[Lane], Precision, int]  # of a step


def run(
    config: Mapping[str, Any],
    built: Parts,
    folder: Path,
    watch: Watch,
    stop: Callable[[], bool] = lambda: False,
    supersede: Collection[str] = (),
) -> Outcomes:
    """Train every seed that has no result yet, resuming where a checkpoint is; one outcome a seed.

    `built` is `parts(config)`, which has checked the configuration. Attempts of the SLURM jobs in `supersede` are taken
    over. The outcome of a seed that another process trains is Busy, or Fenced if it was this one's before; of one whose
    teacher, in the folder beside this one, is not done, Blocked; of one whose result cannot be read, Damaged;
    of one whose folder goes while it is trained, Deleted.

    Raises:
        ConfigError, DataError: before anything is trained.
        Stopped: asked to stop; the state is saved.
    """
    top = built.scalars
    results = {seed: look(seed_folder(folder, seed)) for seed in top.seeds}
    outcomes: Outcomes = {seed: result for seed, result in results.items() if result is not None}
    outcomes |= teacher.blocked(folder.parent, top.teacher, [seed for seed in top.seeds if seed not in outcomes])
    todo = [seed for seed in top.seeds if seed not in outcomes]
    if not todo:
        return outcomes
    keep_freed_memory()
    if top.compile:
        make_room(config)
    followers = sinks(config)
    shared = _Shared(config, built, choose_device(top.device), folder, followers, watch, stop, supersede)
    try:
        for seeds in [todo] if top.fuse else [[seed] for seed in todo]:
            outcomes |= shared.run(seeds)
    finally:
        for sink in followers:
            for warning in sink.close():
                watch.note(warning)
    return outcomes


@dataclass(frozen=True)
class _Shared:
    """What all seeds of a run share."""

    config: Mapping[str, Any]
    built: Parts
    device: torch.device
    folder: Path
    sinks: Sequence[Sink]
    watch: Watch
    stop: Callable[[], bool]
    supersede: Collection[str]

    @cached_property
    def data(self) -> Data:
        """The images, loaded when the first seed is there to be trained, and the parts tried on their like."""
        data: Data = build(self.config["data"], "data")
        check(self.config, check_data(self.config["data"], data), build_optimizer)
        if len(data.train) < self.built.scalars.batch_size:
            raise ConfigError(
                f"batch_size={self.built.scalars.batch_size}: there are only {len(data.train)} training images; "
                "give at most that many"
            )
        for note in data.notes:
            self.watch.note(note)
        return to_device(data, self.device)

    def run(self, seeds: Sequence[int]) -> Outcomes:
        """Train these seeds, together as far as they have come equally far."""
        outcomes: Outcomes = {}
        lanes: list[Lane] = []
        with ExitStack() as held:
            for seed in seeds:
                try:
                    lanes.append(held.enter_context(self._open(seed)))
                except Finished as e:  # by another process, since this one looked
                    outcomes[seed] = look(seed_folder(self.folder, seed)) or e
                except (Busy, Cancelled, Damaged) as e:
                    outcomes[seed] = e
            with blaming(lanes):
                groups = self._groups(lanes)
            return outcomes | self._each(groups)

    def _each(self, groups: Sequence[_Group]) -> Outcomes:
        """Train one group after the other; the first error is raised when all have had their turn."""
        outcomes: Outcomes = {}
        errors: list[BaseException] = []
        for group in groups:
            try:
                with blaming(group[0]):
                    outcomes |= self._train(*group)
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as e:  # sys.exit in a trick is one like any other
                clear_frames(e.__traceback__)  # they hold the state, and so its memory
                errors.append(e)
        if errors:
            raise errors[0]
        return outcomes

    @contextmanager
    def _open(self, seed: int) -> Iterator[Lane]:
        with claim(seed_folder(self.folder, seed), self.built.scalars.lease, self.supersede) as attempt:
            lane = Lane(seed, attempt)
            lane.parts = reader.here().parts(self.config)
            try:
                yield lane
            finally:
                lane.journal.close()

    def _groups(self, lanes: Sequence[Lane]) -> list[_Group]:
        """Lanes that can go on together: begun in one precision, with checkpoints of a common step."""
        by_precision: dict[str, list[Lane]] = {}
        for lane in lanes:
            by_precision.setdefault(lane.precision or self.built.scalars.precision, []).append(lane)
        groups = []
        for name, alike in by_precision.items():
            for lane in alike:
                lane.look(newest=len(alike) == 1)
            asked = name == self.built.scalars.precision
            precision = choose_precision(name, self.device, "as asked" if asked else "as it was begun")
            common = set(alike[0].saved).intersection(*(lane.saved for lane in alike))
            if common:
                groups.append((alike, precision, max(common)))
                continue
            newest = [max(lane.saved, default=0) for lane in alike]
            for step in sorted(set(newest)):
                groups.append(([lane for lane, s in zip(alike, newest, strict=True) if s == step], precision, step))
        return groups

    def _train(self, lanes: Sequence[Lane], precision: Precision, step: int) -> Outcomes:
        if self.device.type != "cpu" or not step:
            return self._trained(lanes, precision, step)
        begun = lanes[0].threads
        with threads.as_begun(begun) as now:
            if begun is not None and begun != now:
                self.watch.note(f"begun with {begun} threads, goes on with {now}: the last bits may differ")
            return self._trained(lanes, precision, step)

    def _trained(self, lanes: Sequence[Lane], precision: Precision, step: int) -> Outcomes:
        reset_peak_memory(self.device)
        top, seeds = self.built.scalars, [lane.seed for lane in lanes]
        plan, state = prepare(self.config, self.built, self.data, precision, seeds, self._teacher(lanes, precision))
        if step:
            unpack(state, [lane.saved[step] for lane in lanes])
            for lane in lanes:
                if files := code.edited(code.counted(lane.attempt.seed_folder), lane.modules):
                    self.watch.note(f"seed {lane.seed} goes on where it stopped, but the {code.told(files)}")
        name, count = device_name(self.device), parameters(state, len(lanes))
        for remark in remarks(plan, self.built.tricks.paths):
            self.watch.note(remark)
        recorder = Files(plan, self.data, lanes, top, self.watch, self.stop, step)
        why = f"{precision.name} ({precision.why})"
        with suppress(Over):
            recorder.begin(state, name)
            for lane in lanes:
                for sink in self.sinks:
                    sink.follow(lane.attempt.seed_folder)
            self.watch.begin(Leg(seeds, top.epochs, plan.steps, step, name, why, count))
            train(plan, state, recorder)
            recorder.end(facts(plan, state, self.data))
        return {lane.seed: lane.outcome for lane in lanes if lane.outcome is not None}

    def _teacher(self, lanes: Sequence[Lane], precision: Precision) -> Teacher | None:
        name, seeds = self.built.scalars.teacher, [lane.seed for lane in lanes]
        if name is None:
            return None
        loaded = teacher_weights.load(self.folder.parent / name, seeds, self.data, precision)
        for lane, fingerprint in zip(lanes, loaded.fingerprints, strict=True):
            lane.teacher = fingerprint
            lane.taught = code.teaches(self.folder.parent, name, lane.seed)
        return loaded
