"""Where and in which number format to compute: `auto` asks the hardware and says why."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from ablation.errors import ConfigError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Constant loss scaling (Micikevicius et al. 2017, 1710.03740, section 3.2): needs no host sync and no state. An
# overflow shows as a non-finite loss and stops the seed like any other divergence.
_FP16_LOSS_SCALE = 1024.0


@dataclass(frozen=True)
class Precision:
    """Autocast's format; parameters, optimiser state and losses stay float32."""

    name: str  # fp32, bf16 or fp16
    device: torch.device
    why: str

    @property
    def loss_scale(self) -> float:
        """What the loss is multiplied by before, and the gradients divided by after, the backward pass."""
        return _FP16_LOSS_SCALE if self.name == "fp16" else 1.0

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the model is evaluated."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[self.name])


def choose_device(device: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:1` to a device.

    Raises:
        ConfigError: a GPU that does not exist or that this torch cannot use.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device={device}: torch sees {torch.cuda.device_count()} GPUs; use device=auto or cpu")
    return chosen


def choose_precision(precision: str, device: torch.device) -> Precision:
    """`auto` is bf16 where the hardware multiplies it natively, else fp32. On a GPU fp32 excludes TF32 from then on.

    Raises:
        ConfigError: an unknown precision.
    """
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # by default torch lets "fp32" convolutions round to 10 bits
    if precision in _DTYPES:
        return Precision(precision, device, "as asked")
    if precision != "auto":
        raise ConfigError(f"precision={precision}: use auto, {', '.join(_DTYPES)}")
    if device.type == "cuda":
        return _auto_gpu(device)
    capabilities = torch.cpu.get_capabilities()
    native = [c for c in ("amx_bf16", "avx512_bf16", "bf16") if capabilities.get(c)]
    if native:
        return Precision("bf16", device, f"the processor has {native[0]}")
    return Precision("fp32", device, "the processor has no native bf16")


def _auto_gpu(device: torch.device) -> Precision:
    if torch.cuda.get_device_capability(device) >= (8, 0):
        return Precision("bf16", device, "the GPU has bf16 tensor cores")
    return Precision("fp32", device, "the GPU has no bf16 tensor cores; precision=fp16 may do")
