"""Small tensors that are the same in every step, kept on their device."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, cast

import torch
from torch import Tensor

P = ParamSpec("P")


class Constant:
    """A small tensor, such as a table, that is sent to a device when it is first asked for there, and then kept.

    No parameter and no buffer: it is no part of what is trained, saved or stacked for lanes. A device that were sent it
    in every step would be waited for by some, and the step could not be recorded as a CUDA graph.
    """

    def __init__(self, values: Tensor) -> None:
        self._on = {str(values.device): values}

    def on(self, device: torch.device) -> Tensor:
        """The tensor on this device; not to be changed."""
        place = str(device)
        if place not in self._on:
            self._on[place] = next(iter(self._on.values())).to(device)
        return self._on[place]


def kept(make: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Keep the tensors that a function makes of sizes and a device, those of its last 256 calls; nobody writes to them.

    A compiler is given the function itself, whose work it folds into its own.
    """

    def usable(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        with torch.inference_mode(False):  # what is made inside could not be used in training
            return make(*args, **kwargs)

    remembered = cast("Callable[P, Tensor]", lru_cache(256)(usable))

    @wraps(make)
    def call(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        return make(*args, **kwargs) if torch.compiler.is_compiling() else remembered(*args, **kwargs)

    return call


@kept
def places(count: int, device: torch.device, start: int = 0, step: int = 1) -> Tensor:
    """start, start + step, ..., `count` of them, int64."""
    return torch.arange(count, device=device) * step + start
