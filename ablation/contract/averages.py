"""Averages of the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ablation.average import Average, Moment
from ablation.contract.sample import Network, Shape
from ablation.contract.shown import a, shown
from ablation.contract.subject import Subject
from ablation.types import Tensors

AVERAGE = "Average in ablation/average.py: begin(weights) -> state; update(state, weights, moment); weights(state)"


def check_average(subject: Subject, average: Average, shape: Shape) -> None:
    """Try an average over four steps.

    Raises:
        ConfigError: it breaks its contract.
    """

    def call(i: int) -> Tensors:
        network = Network(shape)
        live, names = network.weights.all(), "a dict of tensors by the names of the weights"
        state = subject.call(average.begin, network.copies())
        _check_tensors(subject, "begin", state)
        own = subject.call(average.begin, live)
        storages = {tensor.untyped_storage().data_ptr() for tensor in live.values() if tensor.numel()}
        for name, tensor in own.items():
            if tensor.numel() and tensor.untyped_storage().data_ptr() in storages:
                raise subject.breach(f"begin returned the live weights as {name}", wanted="copies: w.detach().clone()")
        for step in range(4):
            torch._foreach_mul_([p for p in live.values() if p.is_floating_point()], 0.9)
            keys = list(state)
            returned = subject.call(average.update, state, live, Moment(step, 4, 2))
            if returned is not None:
                way = "None: change the tensors of the state in place (state[name].copy_(...))"
                raise subject.breach(f"update returned {a(returned)}, which nobody reads", wanted=way)
            if list(state) != keys:
                raise subject.breach("update changed which tensors the state has", wanted="those of begin, in place")
        found = subject.call(average.weights, state)
        _check_tensors(subject, "weights", found)
        if found.keys() != live.keys():
            odd = ", ".join(sorted(found.keys() ^ live.keys())[:4])
            raise subject.breach(f"weights returned other names than begin was given: {odd}", wanted=names)
        for name, tensor in found.items():
            if tensor.shape != live[name].shape or tensor.dtype != live[name].dtype:
                told = {"returned": shown(tensor), "wanted": shown(live[name])}
                raise subject.breach(f"weights returned {name} of another shape or dtype", **told)
            if not torch.isfinite(tensor).all():
                raise subject.breach(f"weights returned {name} with numbers that are not finite")
        return {name: tensor.clone() for name, tensor in {**found, **{f"live {n}": w for n, w in live.items()}}.items()}

    subject.twice(call)


def _check_tensors(subject: Subject, name: str, found: Any) -> None:
    if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise subject.breach(f"{name} returned {a(found)}", returned=shown(found), wanted="a dict of tensors by name")
