"""Parameters that optimisers are tried on, alone and as lanes, and gradients for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

import torch
from tiny import CONF, options
from torch import Tensor, nn
from yaml import safe_load

from ablation.types import Weights

Optimizer = torch.optim.Optimizer
Make = Callable[[Weights], Optimizer]
BATCH = 256


class Gain(nn.Module):
    """A scalar parameter, such as a branch's gain: with lanes it is a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))


def network(seed: int = 0) -> nn.Module:
    """A convolution that is wide, a norm, a gain, a linear layer that is tall and a head."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Gain(), nn.Linear(4, 6)]
    return nn.ModuleDict({"body": nn.Sequential(*layers), "head": nn.Linear(6, 2)})


def kinds(model: nn.Module) -> dict[str, str]:
    found = {name: "bias" if name.endswith("bias") else "weight" for name, _ in model.named_parameters()}
    return found | {"body.1.weight": "norm", "body.1.bias": "norm"}


def weights(model: nn.Module) -> Weights:
    return Weights(dict(model.named_parameters()), {}, kinds(model))


def lanes(models: Sequence[nn.Module]) -> Weights:
    """Several networks' parameters as one."""
    each = [dict(m.named_parameters()) for m in models]
    stacked = {name: torch.stack([p[name].detach() for p in each]).requires_grad_() for name in each[0]}
    return Weights(stacked, {}, kinds(models[0]), len(models))


def pull(given: Weights, step: int, seeds: Sequence[int] = (0,)) -> None:
    """Give each parameter a gradient that is a function of its name's place, the step and its lane's seed."""
    for i, p in enumerate(given.params.values()):
        shape = p.shape if given.lanes is None else p.shape[1:]
        drawn = [torch.randn(shape, generator=torch.Generator().manual_seed(1000 * s + 100 * step + i)) for s in seeds]
        p.grad = drawn[0] if given.lanes is None else torch.stack(drawn)


def go(given: Weights, optimizer: Optimizer, steps: Sequence[int], seeds: Sequence[int] = (0,)) -> None:
    """Take these steps."""
    for step in steps:
        pull(given, step, seeds)
        optimizer.step()


def ends(make: Make, steps: int = 3) -> dict[str, Tensor]:
    """The parameters of a network after some steps."""
    given = weights(network())
    go(given, make(given), range(steps))
    return {name: p.detach() for name, p in given.params.items()}


def chosen(option: str, **arguments: object) -> Make:
    """What an option of the group makes, with its YAML's arguments or these."""
    node = safe_load((CONF / "optim" / f"{option}.yaml").read_text())
    module, _, name = node.pop("_target_").rpartition(".")
    return lambda given: getattr(import_module(module), name)(given, **{"batch_size": BATCH, **node, **arguments})


EVERY = options("optim")
