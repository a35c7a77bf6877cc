"""Why a trial failed, in the few words that decide what is done about it."""

from __future__ import annotations

import errno
import sys

from ablation.errors import Breach, ConfigError, DataError, DeviceError, Diverged
from ablation.machine.faults import blamed
from ablation.store.file_errors import of_disk


def cause(e: BaseException) -> str:
    """`oom`, `node`, `diverged`, `contract`, `config`, `disk`, or `error` for anything else."""
    torch = sys.modules.get("torch")  # nothing raises its exception where nobody has imported it
    memory = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
    number = e.errno if isinstance(e, OSError) else None
    if isinstance(e, memory) or number == errno.ENOMEM:
        return "oom"
    if isinstance(e, DeviceError):
        return "node"
    if isinstance(e, Diverged):
        return "diverged"
    if isinstance(e, Breach):
        return "contract"
    if isinstance(e, ConfigError | DataError):
        return "config"
    return "disk" if of_disk(e) else blamed(str(e)) or "error"
