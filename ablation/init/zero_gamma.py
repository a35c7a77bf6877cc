"""Residual branches that start at zero."""

from __future__ import annotations

from torch import nn

from ablation.build import near
from ablation.key import Key
from ablation.model.block import Branch
from ablation.regularizer.skip_init import Gain
from ablation.types import Init

Layer = nn.Conv2d | nn.BatchNorm2d
PREACT = ("last_conv", "norm")


def _branches(model: nn.Module) -> list[list[Layer]]:
    """The weighted layers that end each residual branch, in order."""
    branches = [module for module in model.modules() if isinstance(module, Branch)]
    return [[layer for layer in branch if isinstance(layer, Layer)] for branch in branches]


def zero_gamma(preact: str = "last_conv") -> Init:
    """The last batch norm of each residual branch starts with weight 0: each block is its shortcut (1706.02677).

    Goyal et al. 2017, section 5.1. Branches of pre-activation blocks end in a convolution; there `preact` decides:
    "last_conv" starts that convolution at 0, to the same effect. "norm" zeroes the norm before it, as the lab's notes
    did (54.29 %, where 91.58 % was reached without): the convolution's input is then 0 and so is its gradient, and
    ReLU passes none to the norm at 0: the branch never learns. Goes after `kaiming` in the list.

    Raises:
        ValueError: there is no such `preact`; and when applied, the model has no residual branches that can be found,
            or they are multiplied by gains that start at 0 too: then neither has a gradient, ever.
    """
    if preact not in PREACT:
        raise ValueError(f"preact: there is no {preact!r}; {near(preact, PREACT)}")
    kinds = nn.BatchNorm2d if preact == "norm" else Layer

    def init(model: nn.Module, key: Key) -> None:
        branches = _branches(model)
        if not branches:
            raise ValueError("this model has no residual branches; leave it out")
        if any(isinstance(module, Gain) and module.start == 0 for module in model.modules()):
            raise ValueError(
                "the branches are multiplied by gains that start at 0 (regularizer=skip_init), and 0 times 0 passes no "
                "gradient to either; leave one, or set regularizer.skip_init.start=1"
            )
        for layers in branches:
            nn.init.zeros_([layer for layer in layers if isinstance(layer, kinds)][-1].weight)

    return init
