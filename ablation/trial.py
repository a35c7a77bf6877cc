"""One configuration, its seeds, from start or checkpoint to result."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ablation import checkpoint, journal
from ablation.build import build, build_all
from ablation.errors import AblationError, ConfigError
from ablation.key import Key
from ablation.parts import Parts, build_learner, build_optimizer
from ablation.precision import Precision, choose_device, choose_precision
from ablation.record import Files, Lane, write_result
from ablation.state import State, gather_weights, unpack
from ablation.track.sink import Sink
from ablation.train import Plan, train
from ablation.types import Data, Split
from ablation.watch import Leg, Watch

Result = dict[str, Any]


def seed_folder(folder: Path, seed: int) -> Path:
    """Where a trial's files lie."""
    return folder / f"seed-{seed}"


def finished(folder: Path) -> Result | None:
    """The result of a seed's folder, if it is done."""
    path = folder / "result.json"
    return json.loads(path.read_bytes()) if path.exists() else None


def run(
    config: Mapping[str, Any], built: Parts, folder: Path, watch: Watch, stop: Callable[[], bool] = lambda: False
) -> dict[int, Result | AblationError]:
    """Train every seed that has no result yet, resuming where a checkpoint is; one outcome a seed.

    `built` is `parts(config)`, which has checked the configuration.

    Raises:
        ConfigError, DataError: before anything is trained.
        Stopped: asked to stop; the state is saved.
    """
    outcomes: dict[int, Result | AblationError] = {}
    for seed in built.scalars.seeds:
        done = finished(seed_folder(folder, seed))
        if done is not None:
            outcomes[seed] = done
    todo = [s for s in built.scalars.seeds if s not in outcomes]
    if not todo:
        return outcomes
    sinks: list[Sink] = list(build_all(config["track"], "track").values())
    data: Data = build(config["data"], "data")
    if len(data.train) < built.scalars.batch_size:
        raise ConfigError(f"batch_size={built.scalars.batch_size}: there are only {len(data.train)} training images")
    try:
        for seeds in [todo] if built.scalars.fuse else [[s] for s in todo]:
            outcomes |= _run_together(config, built, data, folder, seeds, sinks, watch, stop)
    finally:
        for sink in sinks:
            for warning in sink.close():
                watch.note(warning)
    return outcomes


def _run_together(
    config: Mapping[str, Any],
    built: Parts,
    data: Data,
    folder: Path,
    seeds: Sequence[int],
    sinks: Sequence[Sink],
    watch: Watch,
    stop: Callable[[], bool],
) -> dict[int, Result | AblationError]:
    began = time.monotonic()
    top = built.scalars
    with ExitStack() as held:
        lanes = [held.enter_context(_open_lane(seed, seed_folder(folder, seed))) for seed in seeds]
        device = choose_device(top.device)
        precision = choose_precision(_earlier_precision(lanes) or top.precision, device)
        on_device = _to(data, device)
        plan, state = _prepare(config, built, on_device, precision, seeds)
        _resume(state, lanes)
        for lane, sink in ((lane, sink) for lane in lanes for sink in sinks):
            sink.follow(lane.folder)
        params = sum(p.numel() for p in state.weights.params.values()) // len(seeds)
        for lane in lanes:
            attempt = journal.attempts(journal.read(lane.journal.path)) + 1
            lane.journal.write(
                "start", attempt=attempt, step=state.step, device=_device_name(device), precision=precision.name
            )
        watch.begin(Leg(seeds, top.epochs, plan.steps, state.step, _device_name(device), _explain(precision), params))
        try:
            train(plan, state, Files(plan, on_device, lanes, top, watch, stop))
        except AblationError as e:
            if not all(lane.failed for lane in lanes):
                raise
            return dict.fromkeys(seeds, e)
        return _finish(plan, state, data, lanes, params, time.monotonic() - began, watch)


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
    return starts[-1]["precision"] if starts else None


def _prepare(
    config: Mapping[str, Any], built: Parts, data: Data, precision: Precision, seeds: Sequence[int]
) -> tuple[Plan, State]:
    top, roots = built.scalars, [Key.root(seed) for seed in seeds]
    learners = [build_learner(config, built, data, precision, root) for root in roots]
    weights = gather_weights(learners)
    plan = Plan(
        learner=learners[0],
        train=data.train,
        schedules=built.schedules,
        grads=list(built.grads.values()),
        averages=built.averages,
        roots=roots,
        epochs=top.epochs,
        batch_size=top.batch_size,
        compile=top.compile,
    )
    averages = {name: average.begin(weights.all()) for name, average in built.averages.items()}
    per_step = (plan.steps_per_epoch,) if weights.lanes is None else (weights.lanes, plan.steps_per_epoch)
    losses, hits = (torch.zeros(per_step, device=precision.device) for _ in range(2))
    return plan, State(weights, build_optimizer(config, weights), averages, losses, hits)


def _resume(state: State, lanes: Sequence[Lane]) -> None:
    """Continue at the newest step of which every lane has a whole checkpoint."""
    saved: list[dict[int, Any]] = [{c["step"]: c for c in checkpoint.load(lane.folder)} for lane in lanes]
    common = set(saved[0]).intersection(*saved[1:])
    if common:
        unpack(state, [packs[max(common)] for packs in saved])


def _to(data: Data, device: torch.device) -> Data:
    """The data on the device; a memory-mapped set is too large for that and stays where it is."""

    def move(split: Split) -> Split:
        mapped = split.x.device.type == "cpu" and data.about.get("storage") == "memory-mapped"
        return split if mapped else Split(split.x.to(device), split.y.to(device))

    moved = {"train": move(data.train), "test": move(data.test), "val": None if data.val is None else move(data.val)}
    return Data(**{**vars(data), **moved, "mean": data.mean.to(device), "std": data.std.to(device)})


def _finish(
    plan: Plan, state: State, data: Data, lanes: Sequence[Lane], params: int, elapsed: float, watch: Watch
) -> dict[int, Result | AblationError]:
    weights_bytes = sum(v.numel() * v.element_size() for v in state.weights.all().values()) / len(lanes)
    device = plan.learner.mean.device
    facts = {
        "epochs": plan.epochs,
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "params": params,
        "weight_mib": round(weights_bytes / 2**20, 3),
        "peak_mem_mib": _peak_memory_mib(device),
        "seconds": round(state.seconds, 3),
        "attempt_seconds": round(elapsed, 3),
        "device": _device_name(device),
        "precision": plan.learner.precision.name,
        "fused": len(lanes),
        "torch": torch.__version__,
        "data": {"name": data.name, **data.about},
    }
    outcomes: dict[int, Result | AblationError] = {}
    for lane in lanes:
        if lane.failed:
            outcomes[lane.seed] = AblationError(journal.read(lane.journal.path)[-1]["message"])
        else:
            outcomes[lane.seed] = result = write_result(lane, facts)
            watch.end(lane.seed, result)
    return outcomes


def _peak_memory_mib(device: torch.device) -> float:
    """Of the device on a GPU, of the process on the CPU."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def _explain(precision: Precision) -> str:
    return f"{precision.name} ({precision.why})"
