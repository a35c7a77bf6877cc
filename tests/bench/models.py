"""What each network costs on images of CIFAR-10's size: a table and its numbers.

    python tests/bench/models.py --to results/cost [--only vit densenet121 ...] [--missing]

Ten classes, 32x32, arguments as in conf/model, the precision and device that the trainer would choose, each network in
a process of its own and through the real step and the real evaluation, with SGD with momentum. Of a network:

- parameters; MiB of weights (with running statistics); multiply-adds of one image's forward pass, of convolutions and
  matrix products alone, counted on the meta device.
- Images/s in training and in evaluation, on one thread of a CPU of the process's own processor time. A batch has 128
  images, or a smaller power of two, at least 8, so that a step has up to 20 G multiply-adds; it is the row's.
- The time an image takes as a ratio to ResNet-20's, in batches of 128: steps of both by turns in one process, for some
  seconds, at least three; the median of the ratios and the range of the middle half of those of training. The images/s
  of two rows were measured minutes apart, when the machine may have had more or less to do; the ratios bear that.
- Peak memory of training, at the row's batch: on a CPU by how much the resident memory of the fresh process has grown
  from before the network was built, at its highest. It holds weights, gradients, momentum, activations and what the
  libraries keep (kernels, buffers), as a machine must have it, and so is more than a count of tensors; images and code
  are not in it. On a GPU what torch has allocated.

A network that fails is a row that says why. The table is written after each; `--only` measures some again and keeps the
other rows, `--missing` those that have no numbers yet. On a GPU this has never been run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from measured import commit, machine, middle, milliseconds, write  # first: it sets the threads and where tests lie

# isort: split
import torch
from networks import multiply_adds
from one_step import begun, imitation, stepped
from tiny import config, options

from ablation.evaluate import evaluate
from ablation.machine.device import choose_device
from ablation.machine.memory import keep_freed_memory
from ablation.machine.precision import Precision, choose_precision
from ablation.trial.prepare import to_device
from ablation.trial.result_facts import facts, reset_peak_memory
from ablation.types import Data, Split

BATCH, LEAST, WORK = 128, 8, 20e9  # images in a step, at most and at least; its multiply-adds forward
SECONDS, ROUNDS = 3.0, (3, 9)  # of the turns of a network: as many as fit, within these
PATIENCE = 600  # seconds, for one network
BASELINE = "resnet20"


@dataclass(frozen=True)
class Cost:
    """Of one network; what could not be measured is None, and `why` says why."""

    model: str
    commit: str
    params: int | None = None
    weight_mib: float | None = None
    multiply_adds: int | None = None
    batch: int | None = None
    train: float | None = None  # images/s
    ratio: float | None = None  # to ResNet-20's time for an image in training: median of the rounds
    low: float | None = None  # of the middle half
    high: float | None = None
    infer: float | None = None  # images/s
    infer_ratio: float | None = None
    peak_mib: float | None = None
    why: str = ""


class Subject:
    """A network in training: one step, and the evaluation of as many images."""

    def __init__(self, option: str, batch: int, data: Data, precision: Precision) -> None:
        settings = config(f"model={option}", f"batch_size={batch}", "epochs=100", "track=[]")
        self.plan, self.state = begun(settings, data, precision)
        self.batch, self.data, self.device = batch, data, precision.device

    def train(self, steps: int = 1) -> None:
        stepped(self.plan, self.state, steps)

    def infer(self) -> None:
        some = Split(self.data.test.x[: self.batch], self.data.test.y[: self.batch])
        evaluate(self.plan.learner, self.state.weights.all(), some)

    def facts(self) -> dict[str, Any]:
        return facts(self.plan, self.state, self.data)


def held(device: torch.device) -> float:
    """MiB in use now: of the process on a CPU, of torch's tensors on a GPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 2**20
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def turns(one: Callable[[], None], other: Callable[[], None], device: torch.device) -> list[tuple[float, float]]:
    """Milliseconds of both, by turns and in changing order, for some seconds."""
    one()
    other()
    timed: list[tuple[float, float]] = []
    until = time.perf_counter() + SECONDS
    while len(timed) < ROUNDS[0] or (time.perf_counter() < until and len(timed) < ROUNDS[1]):
        pair = (one, other) if len(timed) % 2 else (other, one)
        times = {work: milliseconds(work, device) for work in pair}
        timed.append((times[one], times[other]))
    return timed


def measured(option: str, at: str, precision: Precision) -> Cost:
    """Of one network, in a process in which nothing was trained before."""
    count = multiply_adds(option)
    batch = next(b for b in (128, 64, 32, 16, LEAST) if b == LEAST or b * count <= WORK)
    node = {**config("track=[]")["data"], "_target_": "random.cifar10"}
    data = to_device(imitation(node, count=512), precision.device)
    keep_freed_memory()
    before = held(precision.device)
    reset_peak_memory(precision.device)
    subject = Subject(option, batch, data, precision)
    subject.train(2)
    known = subject.facts()
    baseline = Subject(BASELINE, BATCH, data, precision)
    training = turns(subject.train, baseline.train, precision.device)
    inference = turns(subject.infer, baseline.infer, precision.device)
    low, ratio, high = middle([(a / batch) / (b / BATCH) for a, b in training])
    return Cost(
        option,
        at,
        known["params"],
        known["weight_mib"],
        count,
        batch,
        1000 * batch / statistics.median(a for a, _ in training),
        ratio,
        low,
        high,
        1000 * batch / statistics.median(a for a, _ in inference),
        statistics.median((a / batch) / (b / BATCH) for a, b in inference),
        known["peak_mem_mib"] - before,
    )


def answer(pipe: Connection, option: str, at: str) -> None:
    """What the process of one network does."""
    try:
        pipe.send(measured(option, at, choose_precision("auto", choose_device("auto"))))
    except Exception as e:  # of whatever kind: it is what the row says
        pipe.send(Cost(option, at, why=f"{type(e).__name__}: {e}".splitlines()[0]))


def cost(option: str, at: str) -> Cost:
    """Of one network, in a process of its own, with the libraries loaded beforehand."""
    server = multiprocessing.get_context("forkserver")
    mine, theirs = server.Pipe(duplex=False)
    process = server.Process(target=answer, args=(theirs, option, at))
    process.start()
    theirs.close()
    found = Cost(option, at, why=f"not done in {PATIENCE} s")
    try:
        if mine.poll(PATIENCE):
            found = mine.recv()
    except EOFError:
        process.join()
        found = Cost(option, at, why=f"its process ended with {process.exitcode}")
    process.kill()
    process.join()
    return found


def short(value: float | None) -> str:
    """Three digits that count."""
    return "" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def markdown(costs: Sequence[Cost], head: str) -> str:
    """The cheapest in training first; those that failed last."""
    lines = ["# What each network costs", "", *head.splitlines(), ""]
    lines += ["| model | M parameters | weights MiB | M multiply-adds | batch | training img/s | time / ResNet-20's |"]
    lines[-1] += " middle half | evaluation img/s | time / ResNet-20's | peak MiB |"
    lines += ["|---|" + "---|" * 10]
    for c in sorted(costs, key=lambda c: (c.ratio is None, c.ratio or 0, c.model)):
        if c.params is None or c.multiply_adds is None or c.ratio is None:
            lines += [f"| {c.model} | failed: {c.why} |" + " |" * 9]
            continue
        numbers = (c.params / 1e6, c.weight_mib, c.multiply_adds / 1e6, c.batch, c.train, c.ratio)
        more = (c.infer, c.infer_ratio, c.peak_mib)
        cells = [c.model, *map(short, numbers), f"{short(c.low)} to {short(c.high)}", *map(short, more)]
        lines += [f"| {' | '.join(cells)} |"]
    return "\n".join(lines) + "\n"


def about(costs: Sequence[Cost], precision: Precision) -> str:
    """How it was measured."""
    commits = ", ".join(sorted({c.commit for c in costs}))
    return (
        f"`python tests/bench/models.py`: ten classes, 32x32, {precision.name}, {machine(precision)}, torch "
        f"{torch.__version__}, commit {commits}.\nThe time of an image against ResNet-20's at batch {BATCH}, steps by "
        "turns, medians; images/s of the process's own processor time;\npeak: growth of the resident memory over "
        "training at the row's batch. The head of the script has the fine print."
    )


def kept(path: Path) -> dict[str, Cost]:
    """The rows of an earlier run."""
    rows = json.loads(path.read_text())["costs"] if path.exists() else []
    return {row["model"]: Cost(**row) for row in rows}


def main() -> None:
    """Measure, print as it goes, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=options("model"), help="names of options; the other rows are kept")
    parser.add_argument("--missing", action="store_true", help="keep all rows that have numbers")
    parser.add_argument("--to", type=Path, help="folder for models-DEVICE.md and .json, written after each network")
    arguments = parser.parse_args()
    device = choose_device("auto")
    stem = arguments.to / f"models-{device.type}" if arguments.to else None
    rows = {
        name: c for name, c in (kept(stem.with_suffix(".json")) if stem else {}).items() if name in options("model")
    }
    at, precision = commit(), choose_precision("auto", device)
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["timm", "torchvision", "hydra", "ablation.trial.run"]
    )
    for option in arguments.only:
        if arguments.missing and option in rows and not rows[option].why:
            continue
        rows[option] = c = cost(option, at)
        print(f"{option:24} {c.why or f'{c.ratio:.2f}  {c.train:.0f} img/s  {c.peak_mib:.0f} MiB'}", flush=True)
        if stem:
            costs = [rows[name] for name in sorted(rows)]
            head = about(costs, precision)
            write(stem, markdown(costs, head), head, [asdict(c) for c in costs])


if __name__ == "__main__":
    main()
