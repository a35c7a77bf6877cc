"""Values as a message shows them: types, shapes, dtypes, and in which range the numbers are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_MOST = 200  # characters of anything else


def shown(value: Any) -> str:
    """A value in one line: `Tensor (8, 3, 32, 32) float32 in [0, 1]`."""
    if isinstance(value, Tensor):
        return f"Tensor {tensor(value)}"
    if isinstance(value, tuple) and type(value) is not tuple:  # a named one
        fields = getattr(value, "_fields", ())
        inside = [f"{name} {_short(v) if _many(v) else outline(v)}" for name, v in zip(fields, value, strict=False)]
        return f"{type(value).__name__}({', '.join(inside)})"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of {len(value)} ({', '.join(map(_short, value[:4]))})"
    if isinstance(value, dict):
        inside = [f"{name}: {_short(v)}" for name, v in list(value.items())[:4]]
        return f"dict of {len(value)} ({', '.join(inside)})"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)[:_MOST]
    return f"{a(value)} ({type(value).__module__})"


def tensor(value: Tensor) -> str:
    """Shape, dtype, range, and the device and the gradient where these are not as usual."""
    said = outline(value)
    said += f" on {value.device}" if value.device.type != "cpu" else ""
    return said + _range(value) + (" requiring a gradient" if value.requires_grad else "")


def outline(value: Any) -> str:
    """`(8, 10) float32`; of what is no tensor, its type."""
    return f"{tuple(value.shape)} {dtype(value)}" if isinstance(value, Tensor) else a(value)


def dtype(value: Tensor) -> str:
    """`float32`."""
    return str(value.dtype).removeprefix("torch.")


def a(value: Any) -> str:
    """The type with its article: `a Tensor`, `an int`, `None`."""
    if value is None:
        return "None"
    name = "Tensor" if isinstance(value, Tensor) else type(value).__qualname__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _short(value: Any) -> str:
    return tensor(value) if isinstance(value, Tensor) else a(value)


def _many(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() > 1


def _range(value: Tensor) -> str:
    if value.device.type != "cpu" or value.numel() == 0 or value.is_complex() or value.dim() == 0:
        return ""
    numbers = value.detach().double()
    if not torch.isfinite(numbers).all():
        return f" with {int((~torch.isfinite(numbers)).sum())} of {value.numel()} not finite"
    return f" in [{float(numbers.min()):.4g}, {float(numbers.max()):.4g}]"
