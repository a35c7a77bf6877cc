"""A step waits for nothing: every option trains on torch's meta device, where reading a tensor is impossible."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import cache
from itertools import cycle, islice

import pytest
import torch
from tiny import SMALL, options
from together import Option, refused, together
from torch import Tensor
from watching import watch

from ablation.key import Key
from ablation.types import Aug, Batch

ONE = ("data", "loss", "optim", "sched")  # groups of which a trial has one option
SEVERAL = ("init", "aug", "regularizer")
SIDE_BY_SIDE = 2  # options of such a group in one trial
STRAIGHT = {"lookahead": {"k": 2}, "swa": {"start": 0.0}}  # what else would come later than the steps that are watched


@cache
def tricks() -> list[tuple[Option, ...]]:
    """Every option but the models at least once, in few trials of the smallest model."""
    rows = packed([(group, name) for group in SEVERAL for name in options(group)])
    rows += [()] * (max(len(options(group)) for group in ONE) - len(rows))
    for group in ONE:
        rows = [fitting(row, group, k) for k, row in enumerate(rows)]
    return rows


def packed(several: list[Option]) -> list[tuple[Option, ...]]:
    """Rows of options that do not refuse each other."""
    rows: list[tuple[Option, ...]] = []
    for one in several:
        for k, row in enumerate(rows):
            if sum(group == one[0] for group, _ in row) < SIDE_BY_SIDE and not any(refused(one, o) for o in row):
                rows[k] = (*row, one)
                break
        else:
            rows.append((one,))
    return rows


def fitting(row: tuple[Option, ...], group: str, k: int) -> tuple[Option, ...]:
    """The row with the k-th option of a group, or the next that it does not refuse."""
    names = options(group)
    rotated = ((group, name) for name in islice(cycle(names), k, k + len(names)))
    return (*row, next(option for option in rotated if not any(refused(option, other) for other in row)))


def named(row: tuple[Option, ...]) -> str:
    return ",".join("=".join(option) for option in row)


def trouble(row: tuple[Option, ...], seeds: tuple[int, ...]) -> list[str]:
    config = together(row)
    for name in config["regularizer"].keys() & STRAIGHT.keys():
        config["regularizer"] = {**config["regularizer"], name: {**config["regularizer"][name], **STRAIGHT[name]}}
    training, evaluation = watch(config, seeds)
    return training.faults + evaluation.faults


FUSED = pytest.mark.parametrize("seeds", [(0,), (0, 1)], ids=["single", "fused"])
MODELS = [
    pytest.param((("model", name),), marks=() if name in SMALL else pytest.mark.slow, id=f"model={name}")
    for name in options("model")
]


@FUSED
@pytest.mark.parametrize("row", [*MODELS, *(pytest.param(row, id=named(row)) for row in tricks())])
def test_no_step_waits_for_the_device(row: tuple[Option, ...], seeds: tuple[int, ...]) -> None:
    """Neither a step nor the evaluation reads the device, mixes it with the host, or is sent anything."""
    assert trouble(row, seeds) == []


def test_every_option_is_in_some_trial() -> None:
    had = {option for row in tricks() for option in row}
    assert had == {(group, name) for group in (*ONE, *SEVERAL) for name in options(group)}


# What must not be done in a step, as a trick would do it: x (N, C, H, W), the trick's key.
PLANTED: dict[str, tuple[Callable[[Tensor, Key], object], str]] = {
    "item": (lambda x, key: x.mean().item(), r"item\(\) cannot be called on meta tensors"),
    "branch": (lambda x, key: x if x.mean() > 0.5 else -x, r"item\(\) cannot be called on meta tensors"),
    "to numpy": (lambda x, key: x.numpy(), "can't convert meta device type tensor to numpy"),
    "to the host": (lambda x, key: x.cpu(), "Cannot copy out of meta tensor"),
    "nonzero": (lambda x, key: key.bernoulli(0.5, len(x)).nonzero(), "nonzero"),
    "rows by a mask": (lambda x, key: x[key.bernoulli(0.5, len(x))], "nonzero|wait for the device"),
    "rows set by a mask": (lambda x, key: x.clone().__setitem__(key.bernoulli(0.5, len(x)), 0), "wait for the device"),
    "masked select": (lambda x, key: x.masked_select(x > 0.5), "masked_select|wait for the device"),
    "distinct values": (lambda x, key: x.unique(), "_unique2|wait for the device"),
    "counts": (lambda x, key: torch.bincount(key.integers(3, len(x))), "bincount|wait for the device"),
    "inverse": (lambda x, key: torch.linalg.inv(x[0, 0]), "wait for the device"),
    "drawn on the host": (
        lambda x, key: x * torch.rand(len(x))[:, None, None, None],
        "cpu is not on the expected device",
    ),
    "drawn on the host and sent": (lambda x, key: torch.rand(len(x)).to(x.device), "rand makes a tensor on the host"),
    "index on the host": (lambda x, key: x[torch.arange(len(x))], "index is given tensors of the host"),
    "list for an index": (lambda x, key: x[[1, 0]], "takes a list for an index"),
    "table sent": (lambda x, key: x * TABLE.to(x.device)[:, None, None], r"copies a tensor of shape \(3,\)"),
    "table copied": (lambda x, key: x.new_empty(3).copy_(TABLE), "copies a tensor of shape"),
    "numbers sent": (lambda x, key: torch.tensor([1.0, 2.0], device=x.device), r"of shape \(2,\) of numbers"),
    "number sent": (lambda x, key: x.new_tensor(1.0), r"of shape \(\) of numbers"),
}
TABLE = torch.ones(3)
ALLOWED: dict[str, Callable[[Tensor, Key], object]] = {
    "a number of the host": lambda x, key: x * torch.tensor(2.0),
    "made where it is used": lambda x, key: x * torch.full((3,), 2.0, device=x.device)[:, None, None],
    "rows by numbers": lambda x, key: x[key.integers(len(x), len(x))],
    "chosen by a mask": lambda x, key: torch.where(key.bernoulli(0.5, len(x))[:, None, None, None], x, 0.0),
}


def planting(monkeypatch: pytest.MonkeyPatch, does: Callable[[Tensor, Key], object]) -> list[str]:
    """What is seen when a trick does this in every step, but not when it is first tried."""

    def cutout(size: int = 16, holes: int = 1) -> Aug:
        def apply(batch: Batch, key: Key) -> Batch:
            if len(batch.x) > 2:
                does(batch.x, key)
            return batch

        return apply

    monkeypatch.setattr(importlib.import_module("ablation.aug.cutout"), "cutout", cutout)
    return trouble((("aug", "cutout"),), (0,))


@pytest.mark.parametrize("fault", PLANTED)
def test_what_is_planted_is_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    does, said = PLANTED[fault]
    found = planting(monkeypatch, does)
    assert found
    assert re.search(said, "\n".join(found))


@pytest.mark.parametrize("form", ALLOWED)
def test_what_waits_for_nothing_is_not_found(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    assert planting(monkeypatch, ALLOWED[form]) == []
