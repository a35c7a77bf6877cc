"""torch's global generators, of which library layers draw."""

from __future__ import annotations

import torch


def seed(device: torch.device, number: int) -> None:
    """Seed those that a step on this device draws from: the CPU's, and the device's own.

    They then give what they give after `torch.manual_seed`, which would seed those of every other device too, in every
    step.
    """
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(number)
