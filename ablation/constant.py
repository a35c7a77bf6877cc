"""Numbers that a trick brings along, on the device of the batch."""

from __future__ import annotations

import torch
from torch import Tensor


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
