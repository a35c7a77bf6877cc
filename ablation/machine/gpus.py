"""What is asked of torch about the GPUs of this process, by those who import it only then."""

from __future__ import annotations

import os

import torch


def usable() -> bool:
    """Whether torch can use one."""
    return torch.cuda.is_available()


def visible() -> list[str]:
    """Those that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(n) for n in range(count)]


def names() -> list[str]:
    """The same as people know them."""
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def limit_memory(share: float) -> None:
    """Allow this process so much of its GPU's memory, from 0 to 1; nothing where there is no GPU."""
    if share < 1 and usable():
        torch.cuda.set_per_process_memory_fraction(share)


def wait() -> None:
    """Until all that was sent to the GPU is done."""
    torch.cuda.synchronize()
