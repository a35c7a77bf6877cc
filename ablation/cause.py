"""Why a trial failed, in the few words that decide what is done about it."""

from __future__ import annotations

import errno

import torch

from ablation.errors import ConfigError, DataError, Diverged

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MEMORY = (  # torch has an exception for what its own allocator asks of the GPU alone
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def cause(e: BaseException) -> str:
    """`oom`, `diverged`, `config`, `disk`, or `error` for anything else."""
    number = e.errno if isinstance(e, OSError) else None
    if isinstance(e, torch.OutOfMemoryError | MemoryError) or number == errno.ENOMEM:
        return "oom"
    if any(text in str(e) for text in _MEMORY):
        return "oom"
    if isinstance(e, Diverged):
        return "diverged"
    if isinstance(e, ConfigError | DataError):
        return "config"
    return "disk" if number in _DISK else "error"
