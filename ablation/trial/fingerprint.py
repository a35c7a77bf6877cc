"""What tells one training from another, from a few real steps of each: hashes by aspect. A process of its own.

    python -P -m ablation.trial.fingerprint

On its standard input it reads a line of JSON for each arm: `{"config": ..., "teacher": CONFIG or null, "seed": 0}`;
for each it answers a line `{"aspects": {...}}`, `{"error": "..."}` or, where the same twice is not the same,
`{"unsteady": "..."}`. Steps are on the CPU in fp32 with few images,
where the same computation gives the same bits. It writes no file but what loading a data set leaves.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ablation.build import build
from ablation.contract.check import foreign
from ablation.errors import ConfigError, DataError
from ablation.evaluate import evaluate
from ablation.key import Key
from ablation.machine.precision import choose_precision
from ablation.state import State
from ablation.train import Feed, Plan, Recorder, train
from ablation.trial.parts import parts
from ablation.trial.prepare import prepare
from ablation.trial.teacher_weights import untrained
from ablation.types import Data, Split

_PIXELS, _IMAGES = 32 * 32 * 32, (8, 32)  # of a step's batch, and between how many images that may be
_LOOKS = 8  # batches that are augmented, evenly over the training
_TESTED = 64  # images that are evaluated
_NAMED = 3  # parameters that are told
_POINTS = 1000  # at which schedules are compared, evenly over the training


class Unsteady(ConfigError):
    """A trick that is no function of its arguments."""


def aspects(config: Mapping[str, Any], teacher: Mapping[str, Any] | None, seed: int) -> dict[str, str]:
    """Hash by aspect; arms that are alike in all of them are one training as far as was looked.

    But for "silent", which tells people which parameters have had no gradient; empty if all have had one.

    Which teacher it is, and so which draws of its own a student has, is left to who asks: before it is trained, one is
    like another.

    Raises:
        Unsteady: the same training twice is not the same.
        Exception: whatever a trick raises.
    """
    plain = {**config, "seeds": [seed], "track": {}, "fuse": False, "compile": False, "device": "cpu"}
    plain["draws"] = "seed"
    built, data, precision = (
        parts(plain),
        _data(json.dumps(config["data"])),
        choose_precision("fp32", torch.device("cpu")),
    )
    if len(data.train) < built.scalars.batch_size:
        raise ConfigError(
            f"batch_size={built.scalars.batch_size}: there are only {len(data.train)} training images; give at "
            "most that many"
        )
    size = max(_IMAGES[0], min(_IMAGES[1], _PIXELS // data.train.x[0, ..., 0].numel(), built.scalars.batch_size))
    few = replace(built, scalars=replace(built.scalars, batch_size=min(size, len(data.train))))
    taught = untrained(teacher, data, precision) if teacher is not None else None
    whole = min(built.scalars.batch_size, len(data.train))
    if foreign(config):  # our own have tests
        twins = [prepare(plain, few, data, precision, [seed], taught) for _ in range(2)]
        if trouble := _unsteady(twins, whole, built.tricks.paths):
            raise Unsteady(trouble)
    plan, state = prepare(plain, few, data, precision, [seed], taught)
    found = {
        "images": _hash(data.about[k] for k in ("pixels", "val", "encoding", "constants")),
        "draws": config["draws"],
        "length": _hash([built.scalars.epochs, built.scalars.batch_size, config["precision"]]),
        "parameters": _hash(sorted(str(tuple(p.shape)) for p in state.weights.params.values())),
        "schedule": _hash(
            [field, [s(i / _POINTS) for i in range(_POINTS)]] for field, s in sorted(plan.schedules.items())
        ),
        "batches": _batches(plan, whole),
    }
    losses, silent = _train(plan, state)
    weights = state.weights.all()
    for name in plan.reported:
        weights = plan.averages[name].weights(state.averages[name])
    test = Split(data.test.x[:_TESTED], data.test.y[:_TESTED])
    return {
        **found,
        "silent": f"{len(silent)} of {len(state.weights.params)}: {', '.join(silent[:_NAMED])}" if silent else "",
        "losses": _hash(losses),
        "weights": _tensors(state.weights.all().values()),
        "evaluation": _hash([_tensors(weights.values()), evaluate(plan.learner, weights, test)]),
    }


def tried(steps: int) -> list[int]:
    """The steps that are tried: the first two, one in the middle, the last."""
    return sorted({0, min(1, steps - 1), steps // 2, steps - 1})


class _Enough(Exception):
    """As many steps as were asked for are done."""


class _One(Recorder):
    """Ends the training after one step."""

    def step(self, state: State) -> None:
        """Enough."""
        raise _Enough

    def epoch(self, state: State) -> None:
        """Nothing: no epoch is ever over."""


def _train(plan: Plan, state: State) -> tuple[list[float], list[str]]:
    """The loss of each step that is tried, and the parameters without a gradient in any; changes the state."""
    losses, silent = [], dict.fromkeys(state.weights.params)
    for step in tried(plan.steps):
        state.step = step
        with suppress(_Enough):
            train(plan, state, _One())
        losses.append(float(state.losses[step % plan.steps_per_epoch]))
        reached = {name for name, gradient in state.weights.grads().items() if bool(gradient.any())}
        silent = {name: None for name in silent if name not in reached}
    return losses, list(silent)


def _unsteady(twins: Sequence[tuple[Plan, State]], size: int, paths: Mapping[str, str]) -> str:
    """What of two trainings that should be one differs, in words; nothing if they are one. Changes both states."""
    (plan, _), _ = twins
    for x, y, word, t in _looks(plan, size):
        key = Key(word)
        batch = plan.learner.standard(x, y, key, t)
        for name, aug in plan.learner.augs.items():
            one, other = (aug(batch, key.fold(name)) for _ in range(2))
            if not (torch.equal(one.x, other.x) and torch.equal(one.y, other.y)):
                return f"{paths[name]} gives two answers for one key"
            batch = one
    first, second = ([_train(*twin), _tensors(twin[1].weights.all().values())] for twin in twins)
    return "" if str(first) == str(second) else "the model, a loss term or a regularizer gives two answers for one key"


def _looks(plan: Plan, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Some whole batches, evenly over the training."""
    whole = replace(plan, batch_size=size)
    for look in range(_LOOKS):
        epoch, i = divmod(look * whole.steps // _LOOKS, whole.steps_per_epoch)
        yield Feed(whole, epoch).batch(i)


def _batches(plan: Plan, size: int) -> str:
    """Whole batches, so that what happens to few images is seen; targets too."""
    seen = []
    for x, y, word, t in _looks(plan, size):
        batch = plan.learner.augment(plan.learner.standard(x, y, Key(word), t), Key(word))
        seen += [batch.x, batch.y]
    return _hash(map(_bytes, seen))


@cache
def _data(text: str) -> Data:
    """The images, never downloaded for this; `text` is JSON of the configuration's node."""
    node = json.loads(text)
    try:
        data: Data = build({**node, "download": False} if "download" in node else node, "data")
    except DataError as e:
        if node.get("download"):
            raise DataError("the data set is not here yet, and a check downloads none") from e
        raise
    return data


def _hash(values: Iterable[Any]) -> str:
    h = hashlib.blake2b(digest_size=8)
    for value in values:
        h.update(value if isinstance(value, bytes) else repr(value).encode())
    return h.hexdigest()


def _tensors(tensors: Iterable[Tensor]) -> str:
    """Whatever they are called, and in whichever order."""
    return _hash(sorted(map(_bytes, tensors)))


def _bytes(tensor: Tensor) -> bytes:
    return hashlib.blake2b(tensor.detach().contiguous().numpy().tobytes(), digest_size=16).digest()


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a trick may print
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what a data set has half written is cleared away
    for line in sys.stdin:
        arm = json.loads(line)
        try:
            answer: dict[str, Any] = {"aspects": aspects(arm["config"], arm["teacher"], arm["seed"])}
        except Unsteady as e:
            answer = {"unsteady": str(e)}
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {' '.join(str(e).split())}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
