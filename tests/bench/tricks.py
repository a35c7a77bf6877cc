"""What a step of each option costs, against a step of the baseline: a table and its numbers.

    OMP_NUM_THREADS=1 python tests/bench/tricks.py [--rounds 7] [--only aug=mixup ...] [--to results/cost]

ResNet-20, batch 128, random images of CIFAR-10's size, the device and precision that the trainer would choose; every
option at its defaults, through the real loop. Baseline and option take turns, a step each, in one process; a round is
one ratio; the table has the median and the range of the middle half. On a CPU what is counted is this process's
processor time on one thread, so that other programs disturb little; on a GPU it is time between events. Trainings begin
at 80 %, where everything that begins late is on. Of an augmentation the table also has what it takes alone, which is
surer than a difference of two steps. An option is explained where it is above 5 % (policies: 20 %) by that, or by the
lower end of the middle half.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from measured import commit, machine, middle, milliseconds, write  # first: it sets the threads and where tests lie

# isort: split
import torch
from one_step import begun, imitation, stepped
from tiny import NEEDS, config, options

from ablation.key import Key
from ablation.machine.device import choose_device
from ablation.machine.memory import keep_freed_memory
from ablation.machine.precision import Precision, choose_precision
from ablation.state import State
from ablation.train import Feed, Plan
from ablation.trial.prepare import to_device

GROUPS = ("aug", "regularizer", "init", "loss", "optim", "sched")
SETTING = ("model=resnet20", "batch_size=128", "epochs=100", "track=[]", "data.subset=null")
POLICIES = ("auto_augment", "rand_augment", "trivial_augment")
# Why an option costs what it does, where that is more than the limit. From the code, not from the clock.
WHY: dict[str, str] = {
    "aug=auto_augment": "warps, tables and blends of whole batches, each step as many as a policy has",
    "aug=batch_augmentation": "four times the images are trained on",
    "aug=color_jitter": "three colour operations in each image's own order, so each is computed for each place",
    "aug=dual_cutout": "twice the images are trained on: two cuts of each",
    "aug=gaussian_blur": "a kernel of its own for each image: a grouped convolution",
    "aug=gaussian_noise": "a random number for every pixel, from a hash",
    "aug=rand_augment": "warps, tables and blends of whole batches, as many as `n`",
    "aug=random_erasing": "a random number for every pixel, from a hash",
    "aug=trivial_augment": "one warp, one table and one blend of the whole batch",
    "loss=distill": "a forward pass of a teacher of the same size",
    "loss=online_refine": "a forward pass of the average, and the average",
    "loss=refinery": "a forward pass of a teacher of the same size",
    "optim=muon": "matrix products to make each update orthogonal",
    "regularizer=cotrain": "two networks, of 11 channels where one has 16, and two views of each image",
    "regularizer=drop_block": "a random number for every element of the maps, from a hash, and a pooling",
    "regularizer=dropout": "a random number for every element of the maps, from a hash",
    "regularizer=manifold_mixup": "every layer that may mix computes the mixture, whichever is drawn",
    "regularizer=r_drop": "a second forward and backward pass with other dropout",
    "regularizer=rotation": "the three turned copies of each image are trained on too",
    "regularizer=sam": "two forward and backward passes",
    "regularizer=stochastic_depth": "two more passes over each branch's output; dropped branches are computed too",
    "regularizer=shake_drop": "two more passes over each branch's output, forward and backward",
    "regularizer=shake_shake": "two more passes over each branch's output, forward and backward",
}


@dataclass(frozen=True)
class Cost:
    """Of one option's step."""

    option: str
    against: str  # what the baseline has too
    ratio: float  # of the two steps' times, median of the rounds
    low: float  # of the middle half
    high: float
    milliseconds: float  # median, of the option's step
    alone: float | None  # of an augmentation: what it takes by itself, as a share of the baseline's step
    limit: float
    why: str


def limit(group: str, name: str) -> float:
    """The ratio up to which a cost needs no explanation."""
    return 1.20 if group == "aug" and name in POLICIES else 1.05


class Timer:
    """Milliseconds of one step: processor time of this process, or between two events of the GPU."""

    def __init__(self, plan: Plan, state: State) -> None:
        self.plan, self.state = plan, state
        state.step = plan.steps * 4 // 5

    def __call__(self) -> float:
        return milliseconds(lambda: stepped(self.plan, self.state), self.plan.learner.mean.device)

    def augmenting(self, repeats: int = 9) -> float:
        """Milliseconds of the view and the augmentations alone, as the least of some times."""
        x, y, word, t = Feed(self.plan, 0).batch(0)
        learner, key, times = self.plan.learner, Key(word), []
        for _ in range(repeats):
            began = time.process_time()
            learner.augment(learner.standard(x, y, key, t), key)
            times.append(1000 * (time.process_time() - began))
        return min(times)


def timer(overrides: tuple[str, ...], precision: Precision) -> Timer:
    settings = config(*SETTING, *overrides)
    data = imitation({**settings["data"], "_target_": "random.cifar10"}, count=1024)
    return Timer(*begun(settings, to_device(data, precision.device), precision))


def needs(group: str, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The overrides of an option with what it needs, and of the baseline that has the same needs."""
    more = NEEDS.get(f"{group}={name}", ())
    listed = [text for text in more if text.startswith(f"{group}=[")]
    if not listed:
        return (f"{group}={name}", *more), more
    rest = tuple(text for text in more if text not in listed)
    return (*listed, *rest), (listed[0].replace(f",{name}]", "]"), *rest)


def cost(group: str, name: str, rounds: int, precision: Precision) -> Cost:
    """Of one option at its defaults."""
    mine, theirs = needs(group, name)
    option, baseline = timer(mine, precision), timer(theirs, precision)
    option(), baseline(), option(), baseline()
    times = [(option(), baseline()) if n % 2 else (baseline(), option())[::-1] for n in range(rounds)]
    low, ratio, high = middle([a / b for a, b in times])
    own, label = statistics.median(a for a, _ in times), f"{group}={name}"
    alone = None
    if group == "aug" and precision.device.type == "cpu":
        alone = (option.augmenting() - baseline.augmenting()) / statistics.median(b for _, b in times)
    return Cost(label, " ".join(theirs), ratio, low, high, own, alone, limit(group, name), WHY.get(label, ""))


def markdown(costs: list[Cost], head: str) -> str:
    lines = ["# What a step of each option costs", "", *head.splitlines(), ""]
    lines += ["| option | against | step / baseline's | middle half | ms | alone | above its limit, because |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for c in costs:
        dear = max(c.low, 1 + (c.alone or 0)) > c.limit
        over = f"{c.limit:.2f}: {c.why or 'not explained'}" if dear else ""
        alone = "" if c.alone is None else f"{100 * c.alone:+.1f} %"
        spread = f"{c.low:.2f} to {c.high:.2f}"
        lines.append(
            f"| {c.option} | {c.against} | {c.ratio:.2f} | {spread} | {c.milliseconds:.0f} | {alone} | {over} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Time every option, print as it goes, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*", help="options such as aug=mixup")
    parser.add_argument("--to", type=Path, help="folder for tricks-DEVICE.md and .json, written after each option")
    arguments = parser.parse_args()
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    keep_freed_memory()
    head = (
        f"`python tests/bench/tricks.py --rounds {arguments.rounds}`: ResNet-20, batch 128, 32x32, {precision.name}, "
        f"{machine(precision)},\ntorch {torch.__version__}, commit {commit()}. Options at their defaults; a step of "
        f"one and of the baseline by turns, {arguments.rounds} rounds;\nmedians of the rounds' ratios."
    )
    print(head, flush=True)
    costs = []
    for group, name in [(g, o) for g in GROUPS for o in options(g)]:
        if arguments.only and f"{group}={name}" not in arguments.only:
            continue
        costs.append(cost(group, name, arguments.rounds, precision))
        c = costs[-1]
        print(
            f"{c.option:36} {c.ratio:.3f}  {c.low:.3f} to {c.high:.3f}  {c.milliseconds:.0f} ms  {c.alone or 0:.3f}",
            flush=True,
        )
        if arguments.to:
            rows = [asdict(c) for c in costs]
            write(arguments.to / f"tricks-{device.type}", markdown(costs, head), head, rows)


if __name__ == "__main__":
    main()
