"""Why a trial failed, in the few words that decide what is done about it."""

from __future__ import annotations

import errno

import torch

from ablation.errors import ConfigError, DataError, Diverged

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MEMORY = (
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)  # torch has an exception for the rest of the GPU's alone


def cause(e: BaseException) -> str:
    """`oom`, `diverged`, `config`, `disk`, or `error` for anything else."""
    if isinstance(e, torch.OutOfMemoryError | MemoryError) or any(text in str(e) for text in _MEMORY):
        return "oom"
    if isinstance(e, Diverged):
        return "diverged"
    if isinstance(e, ConfigError | DataError):
        return "config"
    return "disk" if isinstance(e, OSError) and e.errno in _DISK else "error"
