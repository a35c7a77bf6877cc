"""Which messages blame the machine: the words of CUDA itself, and what others reported of torch."""

from __future__ import annotations

import ctypes
from importlib.metadata import PackageNotFoundError, distribution

import pytest

from ablation.errors import DeviceError
from ablation.machine.faults import blamed, on_gpu
from ablation.store.cause import cause

# By what follows: values of cudaError_t. The code's faults come again wherever it is run; the others need not.
NODE = [3, 34, 35, 46, 100, 101, 102, 103, 127, 209, 214, 216, 220, 222, 226, 702, 714, 719, 802, 803, 804, 805]
CODES = {
    "oom": [2],
    "node": [*NODE, 806, 807, 808, 809, 810, 999],
    "error": [1, 9, 98, 218, 304, 400, 700, 701, 710, 715, 716, 717, 718, 720, 800, 801, 900, 901],
}
ASIDE = """
CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.
"""
ALLOCATOR = '"../c10/cuda/CUDACachingAllocator.cpp":995, please report a bug to PyTorch.'
TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver"
COUNTED = "Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices()?"


def runtime() -> ctypes.CDLL:
    """The CUDA runtime that torch brings."""
    for package in ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12"):
        try:
            files = distribution(package).files or []
        except PackageNotFoundError:
            continue
        for file in files:
            if file.name.startswith("libcudart.so"):
                library = ctypes.CDLL(str(file.locate()))
                library.cudaGetErrorString.restype = ctypes.c_char_p
                return library
    pytest.skip("this torch brings no CUDA runtime")


@pytest.mark.parametrize("expected", CODES)
def test_cudas_own_words(expected: str) -> None:
    library = runtime()
    for code in CODES[expected]:
        words = library.cudaGetErrorString(code).decode()
        for quoted in (f"CUDA error: {words}{ASIDE}", f"CUDA driver error: {words}", f"Triton Error [CUDA]: {words}"):
            assert cause(RuntimeError(quoted)) == expected, quoted
            assert cause(RuntimeError(" ".join(quoted.split()))) == expected, quoted


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("CUDA error: uncorrectable ECC error encountered" + ASIDE, "node"),
        ("CUDA error: all CUDA-capable devices are busy or unavailable" + ASIDE, "node"),  # before CUDA 12.8
        ("CUDA error: MPS client failed to connect to the MPS control daemon or the MPS server" + ASIDE, "node"),
        ("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU", "node"),
        (TOO_OLD, "node"),
        (f"{COUNTED} Error 802: system not yet initialized", "node"),
        ("No CUDA GPUs are available", "node"),
        ("CUDA unknown error - this may be due to an incorrectly set up environment", "node"),
        ("CUDA error: device-side assert triggered" + ASIDE, "error"),
        ("CUDA error: an illegal memory access was encountered" + ASIDE, "error"),
        ("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED", "error"),
        ("the trick says: unspecified launch failure", "error"),
        ("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`", "oom"),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "oom"),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", "oom"),
        (f"NVML_SUCCESS == r INTERNAL ASSERT FAILED at {ALLOCATOR}", "oom"),
        (f"NVML_SUCCESS == DriverAPI::get()->nvmlInit_v2_() INTERNAL ASSERT FAILED at {ALLOCATOR}", "oom"),
        ("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 31.75 GiB", "oom"),
        ("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8000 bytes", "oom"),
    ],
)
def test_torchs_words(words: str, expected: str) -> None:
    assert cause(RuntimeError(words)) == expected
    assert (blamed(words) or "error") == expected


def test_a_gpu_that_cannot_be_used_is_the_nodes_fault() -> None:
    assert cause(DeviceError("no driver answers")) == "node"


def test_whose_memory_ran_out() -> None:
    assert on_gpu("RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED")
    assert on_gpu("RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`")
    assert on_gpu("OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB")
    assert not on_gpu("RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory")
