"""What is written while a trial trains: metrics to the journal, and checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ablation.config import Scalars
from ablation.errors import Stopped
from ablation.evaluate import evaluate
from ablation.state import State, pack
from ablation.store.attempt import Deleted, Fenced
from ablation.train import Plan, Recorder
from ablation.trial.evaluated_weights import candidates
from ablation.trial.observer import Watch
from ablation.trial.replica import Lane
from ablation.trial.trace import last_epoch
from ablation.types import Data, Tensors


class Over(Exception):
    """No lane trains any longer; each says why."""


class Files(Recorder):
    """Writes each lane's files; evaluation happens here, once an epoch. Any call may raise Over."""

    def __init__(
        self,
        plan: Plan,
        data: Data,
        lanes: Sequence[Lane],
        top: Scalars,
        watch: Watch,
        stop: Callable[[], bool],
        start: int,
    ) -> None:
        self.plan, self.data, self.lanes, self.top, self.watch, self.stop = plan, data, lanes, top, watch, stop
        self._saved_at = time.monotonic()
        self._saved_step, self._start = -1, start
        self._clock = self._began = time.perf_counter()

    def begin(self, state: State, device: str) -> None:
        """Journal the start. A resumed attempt has a checkpoint of its own from then on.

        Raises:
            DataError: it would go on with other images.
        """
        about = {"device": device, "precision": self.plan.learner.precision.name, "pixels": self.data.about["pixels"]}
        threads = torch.get_num_threads() if state.losses.device.type == "cpu" else None
        self._each(lambda _, lane: lane.begin(self._start, **about, threads=threads))
        if self._start:
            self.save(state)
        self._clock = self._began = time.perf_counter()

    def end(self, facts: Mapping[str, Any]) -> None:
        """Every lane that has come this far is done."""
        self._each(lambda _, lane: self.watch.end(lane.seed, lane.done(facts)))

    def step(self, state: State) -> None:
        """Count the step; within an epoch save by the clock, and when asked to stop.

        Raises:
            Stopped: after saving.
        """
        self.watch.tick()
        if state.step % self.plan.steps_per_epoch:  # else the epoch is to be recorded first: `epoch` follows
            self._pause(state)

    def epoch(self, state: State) -> None:
        """Evaluate, journal, save.

        Raises:
            Stopped: when asked to stop before the last epoch, after saving.
        """
        if state.losses.device.type == "cuda":
            torch.cuda.synchronize(state.losses.device)
        self._charge(state)
        number, per_epoch = state.step // self.plan.steps_per_epoch, self.plan.steps_per_epoch
        self._check_finite(state)
        images = (state.step - max(self._start, state.step - per_epoch)) * self.plan.batch_size * len(self.lanes)
        speed = images / (self._clock - self._began)
        measured, traced = self._measure(state), last_epoch(self.plan, state) if self.top.trace else None

        def tell(k: int, lane: Lane) -> None:
            if traced:
                lane.trace(state.step - per_epoch, traced[k])
            metrics = {name: values[k] for name, values in measured.items()} | {"images_per_s": speed}
            lane.write("epoch", epoch=number, step=state.step, metrics=_finite(metrics))
            self.watch.epoch(lane.seed, number, metrics)

        self._each(tell)
        every = self.top.checkpoint_epochs
        if number == self.plan.epochs or (every and number % every == 0):
            self.save(state)
        self._clock = self._began = time.perf_counter()
        if number < self.plan.epochs:
            self._pause(state)

    def _pause(self, state: State) -> None:
        due = self.top.checkpoint_seconds
        asked, training = self.stop(), [lane.attempt for lane in self.lanes if lane.outcome is None]
        if asked or any(attempt.cancelled for attempt in training):
            self._leave(state, asked)
        if any(attempt.lost for attempt in training):
            self._each(lambda _, lane: lane.attempt.check())
        if due and time.monotonic() - self._saved_at >= due:
            self._charge(state)
            self.save(state)

    def _leave(self, state: State, asked: bool) -> None:
        """Save; end the lanes that are cancelled, and if asked to stop, all."""
        self._charge(state)
        self.save(state)
        self._each(lambda _, lane: lane.stop(state.step) if asked or lane.attempt.cancelled else None)
        if asked:
            raise Stopped(f"stopped at step {state.step} of {self.plan.steps}; the same command resumes there")

    def _each(self, act: Callable[[int, Lane], None]) -> None:
        """Do this for every lane that still trains. One that may not write any more trains no longer."""
        for k, lane in enumerate(self.lanes):
            try:
                if lane.outcome is None:
                    act(k, lane)
            except (Fenced, Deleted) as e:
                lane.end(e)
        if all(lane.outcome for lane in self.lanes):
            raise Over

    def _charge(self, state: State) -> None:
        """Add the training time since last counted."""
        now = time.perf_counter()
        state.seconds, self._clock = state.seconds + now - self._clock, now

    def save(self, state: State) -> None:
        """A checkpoint of every lane whose losses are finite, unless there is one of this very step."""
        self._saved_at = time.monotonic()
        if self._saved_step == state.step:
            return
        self._check_finite(state)
        self._each(lambda k, lane: lane.save(pack(state, k)))
        self._saved_step = state.step
        self._clock = time.perf_counter()

    def _measure(self, state: State) -> dict[str, list[float]]:
        """Metric name -> one value a lane."""
        measured = {
            "train_loss": _rows(state.losses).mean(1).tolist(),
            "train_acc": (100 * _rows(state.hits).mean(1) / self.plan.batch_size).tolist(),
            **{field: [state.optimizer.param_groups[0][field]] * len(self.lanes) for field in self.plan.schedules},
        }
        for prefix, weights in candidates(self.plan, state).items():
            for name, split in (("val", self.data.val), ("test", self.data.test)):
                if split is not None:
                    scores = evaluate(self.plan.learner, weights, split, state.weights.lanes)
                    measured |= {f"{prefix}{name}_{score}": values for score, values in scores.items()}
        return measured

    def _check_finite(self, state: State) -> None:
        """End the lanes whose loss or weights are no longer finite, so that no such weights are ever saved."""
        if self.top.diverged == "continue":
            return
        per_epoch = self.plan.steps_per_epoch
        done = state.step % per_epoch or per_epoch
        bad = ~torch.isfinite(_rows(state.losses)[:, :done]).cpu()
        whole = _finite_lanes(state.weights.params, len(self.lanes))

        def judge(k: int, lane: Lane) -> None:
            if bad[k].any() or not whole[k]:
                # Broken weights under finite losses: the last step did it.
                lane.diverged(state.step - done + int(bad[k].nonzero()[0]) if bad[k].any() else state.step)
                self.watch.note(str(lane.outcome))

        self._each(judge)


def _finite_lanes(params: Tensors, lanes: int) -> list[bool]:
    """For each lane, whether all of its parameters are finite."""
    sums = [p.detach().reshape(lanes, -1).sum(1) for p in params.values()]
    found: list[bool] = torch.isfinite(torch.stack(sums).sum(0)).tolist()
    return found


def _rows(per_step: Tensor) -> Tensor:
    """([lanes,] steps) -> (lanes, steps)."""
    return per_step.reshape(-1, per_step.shape[-1])


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
