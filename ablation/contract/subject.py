"""One part of one option while it is looked at: how it is called, and what is said when it breaks its contract."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from ablation.contract.generators import NUMPY, PYTHON, TORCH, watched
from ablation.contract.shown import a, dtype, shown, tensor
from ablation.errors import AblationError, Breach, ConfigError

_ADVICE = "the same for the same arguments: draw from the key alone (key.uniform(n), key.bernoulli(p, n), ...)"
_GLOBAL = frozenset({PYTHON, NUMPY, TORCH})
ROUNDING = 1e-4  # of sums, and of what is in a range
_MEMORY = (MemoryError, torch.OutOfMemoryError)


class Raised(Breach):
    """The part raised an exception; whether that condemns it depends on how like the real thing the call was."""


@dataclass(frozen=True)
class Subject:
    """A part of an option."""

    path: str  # aug.mine
    target: str  # mytricks.shade.shade
    contract: str  # of its kind: "Aug = (Batch, Key) -> Batch"

    @classmethod
    def of(cls, config: Mapping[str, Any], path: str, contract: str) -> Subject:
        """The option under a key of a configuration."""
        node: Any = config
        for name in path.split("."):
            node = node[name]
        return cls(path, str(node.get("_target_")), contract)

    def breach(self, what: str, **told: str) -> Breach:
        """The error that says so, with lines such as `returned` and `wanted`, in their order."""
        return Breach(self._text(what, told))

    def _text(self, what: str, told: Mapping[str, str]) -> str:
        lines = [f"  {label:<9} {text}" for label, text in {**told, "contract": self.contract}.items()]
        return "\n".join([f"{self.path}: {what}", *lines, f"  see       ablation/types.py; this is {self.target}"])

    def takes(self, function: Any, *names: str) -> None:
        """It can be called with so many arguments.

        Raises:
            ConfigError: it cannot.
        """
        if not callable(function):
            raise self.breach(f"is {a(function)}, which cannot be called", returned=shown(function))
        try:
            signature = inspect.signature(function)
        except (ValueError, TypeError):  # some builtins do not say
            return
        try:
            signature.bind(*names)
        except TypeError:
            has, wants = f"it takes {signature}", f"it is called with {len(names)}: ({', '.join(names)})"
            raise self.breach("takes other arguments than it is given", takes=has, wanted=wants) from None

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What it returns.

        Raises:
            ConfigError: it refuses a value, as `ValueError("argument: what is wrong and the way out")`.
            Raised: it raises anything else.
        """
        try:
            return function(*arguments)
        except (AblationError, *_MEMORY):
            raise
        except ValueError as e:
            if re.match(r"\w+: ", str(e)):
                raise ConfigError(f"{self.path}.{e}") from e
            raise self._raised(e, arguments) from e
        except (Exception, SystemExit) as e:
            raise self._raised(e, arguments) from e

    def _raised(self, e: BaseException, arguments: Collection[Any]) -> Raised:
        given = {"given": ", ".join(shown(value) for value in arguments)[:300]} if arguments else {}
        what = f"raised {type(e).__name__}: {' '.join(str(e).split())[:300]}"
        return Raised(self._text(what, given | {"where": _where(e.__traceback__)}))

    def twice(self, call: Callable[[int], Any], rounds: int = 1, spared: Collection[str] = ()) -> list[Any]:
        """What `call(0)`, `call(1)`, ... return, each called a second time once all were called.

        `spared` are generators that may be drawn from.

        Raises:
            ConfigError: it draws from a global generator, or the second time is another than the first.
        """
        drawn: list[set[str]] = []
        results: list[list[Any]] = []
        for _ in range(2):
            results.append([])
            for i in range(rounds):
                try:
                    with watched() as names:
                        results[-1].append(call(i))
                except ConfigError as e:
                    if names - set(spared) and not isinstance(e, Raised):
                        self.draws_from(names - set(spared), also=str(e).splitlines()[0].removeprefix(f"{self.path}: "))
                    raise
                drawn.append(names)
        # Another thread may draw at the same moment: once is an accident.
        self.draws_from({g for g in _GLOBAL - set(spared) if sum(g in names for names in drawn) > 1})
        for first, second in zip(*results, strict=True):
            if differs := differences(first, second):
                likely = "a generator of its own without a seed, the clock, or something kept from call to call"
                raise self.breach("gives two answers for one key", returned=differs, likely=likely, wanted=_ADVICE)
        return results[0]

    def draws_from(self, generators: Collection[str], **told: str) -> None:
        """It draws from these, and from none if it keeps its contract.

        Raises:
            ConfigError: it draws from one.
        """
        if generators:
            what = f"is no function of its key: it draws from {' and '.join(sorted(generators))}"
            raise self.breach(what, **told, wanted=_ADVICE)

    def tensor(self, name: str, value: Any, shape: tuple[int, ...], wanted: str) -> Tensor:
        """A float32 tensor of this shape on the CPU, finite.

        Raises:
            ConfigError: it is another thing.
        """
        told = {"returned": f"{name} {tensor(value) if isinstance(value, Tensor) else shown(value)}", "wanted": wanted}
        if not isinstance(value, Tensor):
            raise self.breach(f"returned {a(value)} for {name}, not a tensor", **told)
        if tuple(value.shape) != shape:
            raise self.breach(f"returned {name} of the shape {tuple(value.shape)}, not {shape}", **told)
        if value.dtype != torch.float32:
            raise self.breach(f"returned {name} as {dtype(value)}, not float32", **told)
        if value.device.type != "cpu":
            raise self.breach(f"returned {name} on another device than it was given", **told)
        if not torch.isfinite(value.detach()).all():
            raise self.breach(f"returned {name} with numbers that are not finite", **told)
        return value

    def unchanged(self, name: str, now: Tensor, before: Tensor) -> None:
        """The tensor that it was given is as it was.

        Raises:
            ConfigError: it is not.
        """
        if differs := differences(before, now):
            wanted = f"a new tensor: x = {name} * 0.5, not {name}.mul_(0.5); others see the same tensor"
            raise self.breach(f"changes its input {name} in place", changed=differs, wanted=wanted)


def differences(one: Any, other: Any) -> str:
    """Where two values differ, in words; nothing if they are equal, bit for bit. NaN equals NaN."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            return f"{tensor(one)}, then {tensor(other)}"
        same = (one == other) | (one.isnan() & other.isnan() if one.is_floating_point() else one == other)
        return "" if bool(same.all()) else f"{int((~same).sum())} of {one.numel()} values differ"
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        return next((f"{k}: {d}" for k in one if (d := differences(one[k], other[k]))), "")
    if isinstance(one, tuple | list) and isinstance(other, tuple | list) and len(one) == len(other):
        names = getattr(one, "_fields", range(len(one)))
        return next((f"{n}: {d}" for n, x, y in zip(names, one, other, strict=True) if (d := differences(x, y))), "")
    return "" if type(one) is type(other) and one == other else f"{shown(one)}, then {shown(other)}"


def _where(trace: TracebackType | None) -> str:
    """The innermost line of code that is neither torch's nor ours."""
    frames = traceback.extract_tb(trace)
    own = [f for f in frames if not re.search(r"/(torch|torchvision|numpy|ablation/contract)/", f.filename)]
    last = (own or frames)[-1]
    return f"{last.filename}:{last.lineno}, in {last.name}: {last.line}"


def distribution(y: Tensor) -> bool:
    """Whether every row of targets (N, K) is from 0 to 1 and sums to one, but for rounding."""
    return bool((y.sum(1) - 1).abs().max() <= ROUNDING and y.min() >= -ROUNDING)


def ours(node: Mapping[str, Any]) -> bool:
    """Whether an option is this project's own."""
    return str(node.get("_target_", "")).startswith("ablation.")
