"""Where to compute. A GPU that is there, or reserved, and cannot be used is an error: no processor takes its place."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ablation.errors import ConfigError, DeviceError
from ablation.machine.faults import RESERVED, blamed

# What says that a GPU is meant for this process: SLURM's variables, and ours. Some name GPUs, the others count them.
_NAMES, _COUNTS = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS"), ("SLURM_GPUS_ON_NODE", RESERVED)
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_HIDDEN = ("", "-1", "NoDevFiles")  # values of it with which no GPU is to be used
ROCM = "ROCm"
_WAY_OUT = "device=cpu trains on the processor"


@dataclass(frozen=True)
class Seen:
    """What there is of GPUs, before one is used."""

    usable: bool  # by this torch: a driver answers, and it is new enough
    counted: int = 0  # by NVML, which answers when the driver is too old for torch as well
    files: int = 0  # of devices, which this process may open: not those that a cgroup keeps from it
    promised: Mapping[str, str] = field(default_factory=dict)  # the variables that promise one, and what they say
    hidden: bool = False  # CUDA_VISIBLE_DEVICES says that none is to be used
    torch: str = ""  # its version
    built: str | None = None  # the CUDA that it was built for, or ROCM; None: neither
    driver: str | None = None  # the newest CUDA that the driver knows; None: no driver answers
    said: str = ""  # torch's own words on why it cannot be used

    @property
    def signs(self) -> list[str]:
        """What says that there is a GPU for this process to use."""
        if self.hidden:
            return []
        found = [f"{name}={value}" for name, value in self.promised.items()]
        if self.counted:
            found.append(f"NVML counts {self.counted}")
        if self.files and self.built:  # with a torch for processors alone, that somebody chose, cards are no sign
            found.append(f"devices in /dev: {self.files}")
        return found

    @property
    def why_not(self) -> str:
        """Why torch cannot use it, and the way out."""
        if self.built is None:
            return f"torch {self.torch} is a build without CUDA: install one with it, as https://pytorch.org says"
        if self.built == ROCM:
            return f"torch {self.torch} for {ROCM} cannot use it: {self.said}"
        if self.driver is None:
            return (
                f"no NVIDIA driver answers, and torch {self.torch} needs one for CUDA {self.built}: see what "
                "nvidia-smi says; a container has to be given the GPU (--gpus all), a job as well (--gres=gpu:1)"
            )
        if _numbers(self.driver)[0] < _numbers(self.built)[0]:  # within one major version older drivers serve
            return (
                f"torch {self.torch} needs a driver for CUDA {self.built}, and the one here knows CUDA {self.driver} "
                f"at most: update the driver, or install a torch for CUDA {self.driver} or older"
            )
        return f"torch {self.torch} for CUDA {self.built} cannot use it: {self.said}"


def choose_device(device: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:1` to a device; a GPU is given a first number to compute.

    Raises:
        ConfigError: a GPU was asked for, and there is none.
        DeviceError: there is one, or one is promised, and it cannot be used.
    """
    chosen = torch.device("cpu") if device == "cpu" else decide(device, look())
    if chosen.type == "cuda":
        try:
            if torch.version.hip is None:
                name = torch.cuda.get_device_name(chosen)
                check_architecture(name, torch.cuda.get_device_capability(chosen), torch.cuda.get_arch_list())
            torch.ones((), device=chosen).add(1).item()  # a card that is taken or broken says so here
        except RuntimeError as e:
            if blamed(str(e)) == "oom":
                raise
            raise DeviceError(f"device={device}: {chosen} does not compute: {' '.join(str(e).split())}") from e
    return chosen


def look() -> Seen:
    """What there is here."""
    visible = os.environ.get(_VISIBLE)
    hidden = visible is not None and visible.strip() in _HIDDEN
    promised = {name: os.environ[name] for name in _NAMES if os.environ.get(name)}
    promised |= {name: os.environ[name] for name in _COUNTS if os.environ.get(name, "0") not in ("", "0")}
    if visible is not None and not hidden:
        promised[_VISIBLE] = visible
    usable = torch.cuda.is_available()
    return Seen(
        usable=usable,
        counted=torch.cuda.device_count(),
        files=0 if usable else sum(map(_may_open, Path("/dev").glob("nvidia[0-9]*"))),
        promised=promised,
        hidden=hidden,
        torch=torch.__version__,
        built=ROCM if torch.version.hip else torch.version.cuda,
        driver=None if usable else _drivers_cuda(),
        said="" if usable else _asked(),
    )


def decide(device: str, seen: Seen) -> torch.device:
    """The device that is meant, by what there is.

    Raises:
        ConfigError, DeviceError: as `choose_device`.
    """
    chosen = torch.device(device if device != "auto" else "cuda" if seen.usable or seen.signs else "cpu")
    if chosen.type != "cuda":
        return chosen
    if not seen.usable and seen.signs:
        raise DeviceError(
            f"device={device}: there should be a GPU here ({', '.join(seen.signs)}), but {seen.why_not}; {_WAY_OUT}"
        )
    counted = seen.counted if seen.usable else 0
    if (chosen.index or 0) >= counted:
        raise ConfigError(f"device={device}: torch sees {counted} GPUs; use device=auto or cpu")
    return chosen


def check_architecture(name: str, capability: tuple[int, int], built_for: Sequence[str]) -> None:
    """Refuse a GPU for which this torch has no code: CUDA runs code of the same generation, or PTX of an older one.

    `built_for` as `torch.cuda.get_arch_list`: sm_80, sm_90a, compute_120, ...

    Raises:
        DeviceError: it would fail at the first operation.
    """
    for kind, number, exact in re.findall(r"(sm|compute)_(\d+)([af]?)", " ".join(built_for)):
        code = divmod(int(number), 10)
        older = code < capability and not exact  # code for another GPU, which is not bound to it
        if code == capability or (older and (kind == "compute" or code[0] == capability[0])):
            return
    raise DeviceError(
        f"{name} has compute capability {capability[0]}.{capability[1]}, for which torch {torch.__version__} has no "
        f"code (it has {', '.join(built_for)}): install a torch that was built for it, or use another GPU; {_WAY_OUT}"
    )


def _may_open(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError:
        return False
    return True


def _drivers_cuda() -> str | None:
    """The newest CUDA that the driver knows, as its library says without being initialised."""
    number = ctypes.c_int()
    try:
        failed = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(number))
    except (OSError, AttributeError):
        return None
    return None if failed or not number.value else f"{number.value // 1000}.{number.value % 1000 // 10}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


def _asked() -> str:
    """torch's own words on why it cannot be used."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as e:
        return " ".join(str(e).split())
    return "it could be initialised now; try again"
