"""What a small network's step is spent on, as it is scaled: ToyNet's channels, kernel, depth and batch.

    python tests/bench/utilisation.py [--rounds 3] [--to results/cost]

Random images of CIFAR-10's size, the device and precision that the trainer would choose, the real step with SGD. On a
CPU: one thread, and this process's processor time, which other programs disturb little. Each row is measured in turns
with one large convolution (3x3, 128 to 128 channels, 32 px, 64 images, forward and backward): its multiply-adds a
second are what the machine can do. Of a row:

- images/s; multiply-adds/s (counted in a real step, forward and backward, of convolutions and matrix products), and
  these as a share of the large convolution's: the median of the rounds' ratios;
- input: cropping, flipping and normalising a batch, by itself, as a share of the step;
- convolutions: their share of the time that torch's profiler sees in operators, matrix products included; the rest of
  it is norms, activations, poolings, copies, the loss, the optimiser and the input. The profiler's time is that of the
  clock, in which other programs are, so it is the median of the rounds and good to some hundredths at best;
- operators that a step calls, without those that operators call; and launching: that many of the cheapest operator
  there is (one number added to one number), as a share of the step: an estimate of what calling alone costs.

On a GPU there is a column more, the share of time in which it computes; this has never been run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from measured import commit, machine, milliseconds, write  # first: it sets the threads and where tests lie

# isort: split
import torch
from one_step import begun, imitation, stepped
from tiny import config
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from ablation.key import Key
from ablation.machine.device import choose_device
from ablation.machine.memory import keep_freed_memory
from ablation.machine.precision import Precision, choose_precision
from ablation.train import Feed
from ablation.trial.prepare import to_device

STEPS, IMAGES = 4, 1024  # that are timed together and profiled, at least: an epoch begins with some work of its own
LARGE = (64, 128, 32)  # images, channels, px
PRODUCTS = ("conv", "mm", "linear")  # in the names of the operators that multiply
STUDY: tuple[tuple[str, float, int, int, int], ...] = (  # what is varied, scale, kernel, depth, batch
    ("batch", 1, 5, 2, 8),
    ("batch", 1, 5, 2, 32),
    ("batch, scale", 1, 5, 2, 128),
    ("batch", 1, 5, 2, 512),
    ("scale, kernel", 4, 5, 2, 128),
    ("scale", 16, 5, 2, 128),
    ("kernel", 4, 3, 2, 128),
    ("depth", 1, 3, 2, 128),
    ("depth", 1, 3, 25, 128),
    ("depth", 4, 3, 25, 128),
)


@dataclass(frozen=True)
class Use:
    """Of one row; shares are of 1."""

    varied: str
    scale: float
    kernel: int
    depth: int
    batch: int
    images: float  # a second
    multiply_adds: float  # a second
    best: float  # share of the large convolution's
    feeding: float
    convolving: float
    operators: float
    launching: float
    busy: float | None  # of a GPU


def large(precision: Precision) -> tuple[Callable[[], None], float]:
    """One large convolution, forward and backward, and its multiply-adds."""
    images, width, side = LARGE
    conv = nn.Conv2d(width, width, 3, padding=1, bias=False).to(precision.device, memory_format=torch.channels_last)
    x = torch.randn(images, width, side, side, device=precision.device, requires_grad=True)
    x = x.to(memory_format=torch.channels_last)

    def work() -> None:
        with precision.autocast():
            conv(x).sum().backward()

    return work, 3.0 * images * width * width * 9 * side * side


def least(precision: Precision, calls: int = 2000) -> float:
    """Milliseconds of the cheapest operator."""
    one = torch.zeros((), device=precision.device)

    def work() -> None:
        for _ in range(calls):
            one.add_(1)

    work()
    return min(milliseconds(work, precision.device) for _ in range(5)) / calls


def _inside(event: Any) -> bool:
    return event is not None and (event.name.startswith("aten::") or _inside(event.cpu_parent))


class Profiled(NamedTuple):
    """What torch's profiler sees."""

    convolving: float  # share of the operators' time in those that multiply
    operators: float  # that a step calls
    busy: float | None  # share of the time that a GPU computes


def profiled(step: Callable[[], float], steps: int, precision: Precision) -> Profiled:
    """Of one more stretch of steps."""
    gpu = precision.device.type == "cuda"
    seen = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with profile(activities=seen) as found:
        began = time.perf_counter()
        step()
        if gpu:
            torch.cuda.synchronize()
        took = 1e6 * (time.perf_counter() - began)
    events = [e for e in found.key_averages() if e.key.startswith("aten::") or gpu]
    spent = {e.key: float(e.self_device_time_total if gpu else e.self_cpu_time_total) for e in events}
    products = sum(t for name, t in spent.items() if any(word in name for word in PRODUCTS))
    outer = [e for e in found.events() if e.name.startswith("aten::") and not _inside(e.cpu_parent)]
    total = sum(spent.values())
    return Profiled(products / total, len(outer) / steps, total / took if gpu else None)


def use(row: tuple[str, float, int, int, int], rounds: int, precision: Precision) -> Use:
    """Of one network and batch."""
    varied, scale, kernel, depth, batch = row
    toy = ("model=toynet", f"model.scale={scale}", f"model.kernel={kernel}", f"model.depth={depth}")
    norm = f"model.norm={str(depth > 2).lower()}"
    settings = config(*toy, norm, f"batch_size={batch}", "epochs=100", "track=[]", "optim.lr=0.001")
    node = {**settings["data"], "_target_": "random.cifar10", "view": "pad_crop_flip"}
    plan, state = begun(settings, to_device(imitation(node, count=4096), precision.device), precision)
    x, y, word, t = Feed(plan, 0).batch(0)
    learner, key, steps = plan.learner, Key(word), max(STEPS, IMAGES // batch)

    def step() -> float:
        return stepped(plan, state, steps)

    def feed() -> None:
        for _ in range(steps):
            learner.augment(learner.standard(x, y, key, t), key)

    work, of_best = large(precision)
    with FlopCounterMode(display=False) as counter:
        stepped(plan, state)
    of_step = counter.get_total_flops() / 2
    step(), work(), feed()
    times = [[milliseconds(f, precision.device) for f in (step, work, feed)] for _ in range(rounds)]
    mine = statistics.median(a for a, _, _ in times) / steps
    seen = [profiled(step, steps, precision) for _ in range(rounds)]
    operators = seen[0].operators
    return Use(
        varied,
        scale,
        kernel,
        depth,
        batch,
        images=1000 * batch / mine,
        multiply_adds=1000 * of_step / mine,
        best=statistics.median((of_step * steps / a) / (of_best / b) for a, b, _ in times),
        feeding=statistics.median(c / a for a, _, c in times),
        convolving=statistics.median(p.convolving for p in seen),
        operators=operators,
        launching=operators * least(precision) / mine,
        busy=None if seen[0].busy is None else statistics.median(p.busy for p in seen if p.busy is not None),
    )


def markdown(uses: Sequence[Use], head: str) -> str:
    """A row for each, in the order of the study."""
    gpu = any(u.busy is not None for u in uses)
    lines = ["# What ToyNet's step is spent on", "", *head.splitlines(), ""]
    lines += ["| varied | scale | kernel | depth | batch | img/s | G multiply-adds/s | of the best | input |"]
    lines[-1] += " convolutions | operators | launching |" + " GPU busy |" * gpu
    lines += ["|---|" + "---|" * (11 + gpu)]
    for u in uses:
        cells = [u.varied, f"{u.scale:g}", str(u.kernel), str(u.depth), str(u.batch), f"{u.images:.0f}"]
        cells += [f"{u.multiply_adds / 1e9:.3g}", f"{100 * u.best:.1f} %", f"{100 * u.feeding:.1f} %"]
        cells += [f"{100 * u.convolving:.0f} %", f"{u.operators:.0f}", f"{100 * u.launching:.1f} %"]
        cells += [f"{100 * u.busy:.0f} %"] if u.busy is not None else []
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every row, print as it goes, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--to", type=Path, help="folder for toynet-DEVICE.md and .json, written after each row")
    arguments = parser.parse_args()
    device = choose_device("auto")
    precision = choose_precision("auto", device)
    keep_freed_memory()
    head = (
        f"`python tests/bench/utilisation.py --rounds {arguments.rounds}`: 32x32, {precision.name}, "
        f"{machine(precision)},\ntorch {torch.__version__}, commit {commit()}. Two layers without norms, 25 with. Each "
        "row by turns with one large convolution,\nthe best; input and launching are shares of the step, convolutions "
        "of the operators' time. The head of the script\nhas the fine print."
    )
    print(head, flush=True)
    uses: list[Use] = []
    for row in STUDY:
        uses.append(use(row, arguments.rounds, precision))
        print(uses[-1], flush=True)
        if arguments.to:
            write(arguments.to / f"toynet-{device.type}", markdown(uses, head), head, [asdict(u) for u in uses])


if __name__ == "__main__":
    main()
