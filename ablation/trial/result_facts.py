"""What is the same for all seeds trained together: budget, size, cost, where, and on which images."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ablation.machine.precision import arithmetic
from ablation.state import State
from ablation.train import Plan
from ablation.types import Data

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def facts(plan: Plan, state: State, data: Data) -> dict[str, Any]:
    """The part of the result that these seeds share."""
    lanes = len(plan.roots)
    size = sum(v.numel() * v.element_size() for v in state.weights.all().values()) / lanes
    device = plan.learner.mean.device
    return {
        "epochs": plan.epochs,
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "params": parameters(state, lanes),
        "weight_mib": round(size / 2**20, 3),
        "peak_mem_mib": _peak_memory_mib(device),
        "seconds": round(state.seconds, 3),
        "device": device_name(device),
        "precision": plan.learner.precision.name,
        **arithmetic(device),
        "fused": lanes,
        "torch": torch.__version__,
        "data": {"name": data.name, **data.about},
    }


def parameters(state: State, lanes: int) -> int:
    """The number of trained parameters of one seed."""
    return sum(p.numel() for p in state.weights.params.values()) // lanes


def device_name(device: torch.device) -> str:
    """The device as people know it."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def reset_peak_memory(device: torch.device) -> None:
    """Measure the peak from now on, so that an earlier trial of this process does not count."""
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]  # before it nothing is counted, and asking is an error
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        with suppress(OSError):  # some containers forbid it: the peak is then the process's
            _CLEAR.write_text("5")


def _peak_memory_mib(device: torch.device) -> float:
    """Of the device on a GPU, of the whole process (libraries too) on the CPU."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(line.split()[1]) / 1024, 1)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)
