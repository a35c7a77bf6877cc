"""In which number format to compute: `auto` asks the hardware and says why."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from ablation.errors import ConfigError

# What oneDNN can be limited to, and then emulates bf16 slowly, whatever the processor has.
_WITHOUT_BF16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI")
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


def choose_precision(precision: str, device: torch.device, why: str = "as asked") -> Precision:
    """`auto` is bf16 where the hardware multiplies it natively, else fp32. A GPU is set up for it from then on.

    `why` is said of another than `auto`.

    Raises:
        ConfigError: an unknown precision.
    """
    if device.type == "cuda":
        set_up_gpu()
    if precision in _DTYPES:
        return Precision(precision, device, why)
    if precision != "auto":
        raise ConfigError(f"precision={precision}: use auto, {', '.join(_DTYPES)}")
    if device.type == "cuda":
        return _auto_gpu(device)
    native = _native_bf16()
    if native:
        return Precision("bf16", device, f"the processor has {native[0]}")
    return Precision("fp32", device, "the processor has no native bf16")


def _native_bf16() -> list[str]:
    """The processor's instructions that multiply bf16, by the names that the system uses for them."""
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in _WITHOUT_BF16:
        return []
    capabilities = torch.cpu.get_capabilities()
    return [name for name in ("amx_bf16", "avx512_bf16", "bf16") if capabilities.get(name)]


def _auto_gpu(device: torch.device) -> Precision:
    if torch.cuda.get_device_capability(device) >= (8, 0):
        return Precision("bf16", device, "the GPU has bf16 tensor cores")
    return Precision("fp32", device, "the GPU has no bf16 tensor cores; precision=fp16 may do")


def set_up_gpu() -> None:
    """What is meant, whatever the environment or a library has set before: float32 is not rounded to TF32's 10 bits.

    torch does that to convolutions by default, and to products where TORCH_ALLOW_TF32_CUBLAS_OVERRIDE says so. cuDNN
    tries which of its kernels is fastest, as all batches have one shape; which one that is may differ from run to run,
    and with it the last bits, which on a GPU are not promised to be the same anyway.
    """
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def arithmetic(device: torch.device) -> dict[str, str]:
    """What beside the precision decides the last bits, for the results; on a CPU there is nothing."""
    if device.type != "cuda":
        return {}
    exact = torch.get_float32_matmul_precision() == "highest" and not torch.backends.cudnn.allow_tf32
    tried = torch.backends.cudnn.benchmark
    return {"float32": "exact" if exact else "TF32", "cudnn": "fastest kernels" if tried else "default kernels"}
