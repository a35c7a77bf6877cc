"""Our trainer against the usual script, on the same model, data and batch, taking turns, each in a process of its own.

    python tests/bench/trainer.py [--rounds 5] [--steps 40] [group=option ...]

Prints images/s of both and the ratio round by round, then where our time goes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from typing import Any

import reference
import torch
from hydra import compose

from ablation.build import build
from ablation.key import Key
from ablation.learner import one_hot, to_float
from ablation.machine.allowance import cores
from ablation.machine.device import choose_device
from ablation.machine.memory import keep_freed_memory
from ablation.machine.precision import choose_precision
from ablation.state import State
from ablation.train import Feed, Plan, Recorder, train
from ablation.trial.parts import parts
from ablation.trial.prepare import prepare, to_device
from ablation.types import Batch, Data
from launch.compose import arm
from launch.compose.hydra_version import initialized


class Clock(Recorder):
    """Stops the training after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, state: State) -> None:
        """Count down."""
        self.left -= 1
        if not self.left:
            raise StopIteration

    def epoch(self, state: State) -> None:
        """Nothing."""


def ours(plan: Plan, state: State, steps: int) -> float:
    """Seconds for so many of our steps, through the real loop."""
    began = time.perf_counter()
    try:
        train(plan, state, Clock(steps))
    except StopIteration:
        _wait(plan.learner.mean.device)
    return time.perf_counter() - began


def median_ms(work: Callable[[], Any], device: torch.device, repeats: int = 30) -> float:
    """Median milliseconds of a piece of work."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def breakdown(plan: Plan, state: State) -> dict[str, float]:
    """Milliseconds of each part of a step."""
    learner, device = plan.learner, plan.learner.mean.device
    feed = Feed(plan, 0)
    x, y, word, t = feed.batch(0)
    key = Key(word)

    def augment() -> None:
        batch = Batch(to_float(learner.view(x, key.fold("view"))), one_hot(y, learner.classes), t, learner.mean)
        for name, aug in learner.augs.items():
            batch = aug(batch, key.fold(name))

    def whole() -> None:
        learner(x, y, key, t).loss.backward()

    return {
        "gather": median_ms(lambda: feed.batch(0), device),
        "view and augmentation": median_ms(augment, device),
        "view, augmentation, forward, backward": median_ms(whole, device),
        "optimiser": median_ms(state.optimizer.step, device),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    with initialized():
        overrides = ["epochs=1000000", *arguments.overrides]
        config, _ = arm.settle(arm.resolved(compose("config", overrides)), overrides)
    built = parts(config)
    device = choose_device(config["device"])
    precision = choose_precision(config["precision"], device)
    data: Data = build(config["data"], "data")
    plan, state = prepare(config, built, to_device(data, device), precision, [0])
    mine, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    peer = spawn.Process(target=reference.serve, args=(theirs, config, arguments.workers))
    peer.start()
    keep_freed_memory()

    def peer_steps(n: int) -> float:
        mine.send(n)
        seconds: float = mine.recv()
        return seconds

    print(f"{config['model']['_target_']} on {data.name}, batch {plan.batch_size}, {device}, ours in {precision.name}, "
          f"peer in fp32 with {arguments.workers} workers, torch {torch.__version__}")  # fmt: skip
    ours(plan, state, 5), peer_steps(5)
    ratios = []
    for _ in range(arguments.rounds):
        a, b = ours(plan, state, arguments.steps), peer_steps(arguments.steps)
        images = arguments.steps * plan.batch_size
        ratios.append(b / a)
        print(f"ours {images / a:8.0f} img/s   peer {images / b:8.0f} img/s   ratio {b / a:.2f}", flush=True)
    print(f"ratio: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")
    mine.send(None)
    peer.join()
    step = 1000 * ours(plan, state, arguments.steps) / arguments.steps
    print(f"where a step of {step:.1f} ms goes:")
    for name, ms in breakdown(plan, state).items():
        print(f"  {name:40s} {ms:7.2f} ms  {100 * ms / step:5.1f} %")


if __name__ == "__main__":
    main()
