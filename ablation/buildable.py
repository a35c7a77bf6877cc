"""What no network can be built from is refused in a line, be it that torch ends in an error or that there is no end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from ablation.build import build
from ablation.errors import ConfigError

_MOST = 10_000  # weights and biases, each a tensor; a ResNet-1202 has 4 thousand
_LONGEST = 300  # letters of a message that arguments take
_TORCH_GOES_ON = "\nException raised from"  # with fifty lines of its own code


@contextmanager
def buildable() -> Iterator[None]:
    """Inside, what a factory raises is the user's mistake, and so are layers without end, as of `model.depth=1e9`.

    Raises:
        ConfigError: names the option, and what it was given.
    """
    made = 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal made
        made += parameter is not None
        if made > _MOST:
            raise ConfigError(
                f"model: has more than {_MOST:,} weights and biases, each a tensor; give it fewer layers, by a smaller "
                "number of blocks, of branches or of whatever makes it deep"
            )

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    except ConfigError as e:
        if _TORCH_GOES_ON in str(e):
            raise ConfigError(f"{str(e).partition(_TORCH_GOES_ON)[0]}{_given(e.__cause__ or e)}") from e
        raise
    except (ArithmeticError, LookupError, AttributeError, TypeError, RuntimeError, MemoryError) as e:
        told = _given(e)
        if not told:
            raise
        said = " ".join(str(e).partition(_TORCH_GOES_ON)[0].split())[:_LONGEST]
        path = _building(e.__traceback__)["path"]
        raise ConfigError(f"{path}: cannot be built, {type(e).__name__}: {said}{told}") from e
    finally:
        handle.remove()


def _given(e: BaseException) -> str:
    """With what the factory was called that raised this; empty if it was none."""
    found = _building(e.__traceback__)
    text = ", ".join(f"{name}={value!r}" for name, value in found.get("arguments", {}).items())
    return f"; it was given {text[:_LONGEST] or 'nothing'}" if found else ""


def _building(trace: TracebackType | None) -> dict[str, Any]:
    """The variables of the innermost call of `build`; none if nothing was being built."""
    found: dict[str, Any] = {}
    while trace is not None:
        if trace.tb_frame.f_code is build.__code__:
            found = trace.tb_frame.f_locals
        trace = trace.tb_next
    return found
