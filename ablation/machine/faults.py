"""What a message says of the machine: out of memory, or a GPU that cannot be used. By the words of CUDA and torch.

The words are those of `cudaGetErrorString` (CUDA 11 to 13) and of torch 2.6 to 2.14.
"""

from __future__ import annotations

import re

# How CUDA's runtime, its driver and Triton are quoted by torch; what follows is cudaGetErrorString's text.
_CUDA = re.compile(r"(?:(?:CUDA|HIP)(?: driver)? error|Triton Error \[\w+\]|cudaGetDeviceCount\(\)[^:]*): (.+)")

# That memory ran out, on the GPU or the host. Libraries that cannot make a handle, and NVML's assertion in the
# allocator's own report of it, mean the same. torch has an exception for what its own allocator asks of the GPU alone.
_MEMORY = (
    "can't allocate memory",
    "std::bad_alloc",
    "CUDA out of memory",
    "HIP out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "CUSPARSE_STATUS_ALLOC_FAILED",
    "NVML_SUCCESS == ",
)
RESERVED = "ABLATION_GPU"  # in the environment: a GPU is reserved for this process
_ON_GPU = re.compile(r"CUDA|HIP|CU[A-Z]+_STATUS_|NVML_|Triton Error")

# What the GPU, its driver or MPS is to blame for. What is not here is the code's: "device-side assert triggered", "an
# illegal memory access was encountered", "misaligned address", "invalid configuration argument" and the like come from
# what was asked for, and come again wherever it is asked for again.
_NODE = (
    "busy or unavailable",
    "already in use by a different thread",
    "no CUDA-capable device is detected",
    "invalid device ordinal",
    "uncorrectable ECC error",
    "uncorrectable NVLink error",
    "or a hardware error",
    "hardware stack error",
    "unspecified launch failure",
    "the launch timed out and was terminated",
    "integrity checks failed",
    "valid Grid license",
    "driver version is insufficient",
    "driver is a stub library",
    "unsupported display driver",
    "forward compatibility was attempted",
    "compiled with an unsupported toolchain",
    "no kernel image is available",
    "initialization error",
    "startup failure",
    "system not yet initialized",
    "MPS c",  # client, control daemon, connection
    "MPS server",
    "to support device connections have been exhausted",
    "unknown error",
)
_NO_GPU = (  # torch's own words, and NVML's
    "Found no NVIDIA driver on your system",
    "The NVIDIA driver on your system is too old",
    "No CUDA GPUs are available",
    "CUDA unknown error",
    "GPU is lost",
    "Driver/library version mismatch",
)


def blamed(text: str) -> str:
    """`oom` or `node` if a message, or a process's last words, blame the machine; else nothing."""
    quoted = [found[1] for found in _CUDA.finditer(text)]
    if any(t in text for t in _MEMORY) or any(q.startswith("out of memory") for q in quoted):
        return "oom"
    if any(t in text for t in _NO_GPU) or any(t in q for q in quoted for t in _NODE):
        return "node"
    return ""


def on_gpu(text: str) -> bool:
    """Whether the memory that ran out, by this message, was the GPU's."""
    return _ON_GPU.search(text) is not None
