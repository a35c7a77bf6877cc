"""From a configuration node to the object it names: `{_target_: package.module.factory, **arguments}`."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from ablation.errors import ConfigError

_LARGEST = 1e30  # tensors hold up to 3e38, and what it is multiplied by has to fit too
_LONGEST = (1 << 63) - 1  # of a whole number, such as a seed: 64 bits


def near(name: Any, names: Any) -> str:
    """A phrase that offers the valid names nearest to a wrong one, or all of them."""
    name, names = str(name), sorted(str(n) for n in names)
    close = get_close_matches(name, names, n=3, cutoff=0.8)
    close = close or [n for n in names if _initials(name) == _last(n) or _last(name) == _initials(n)]
    close = close or get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"valid: {', '.join(names) or 'none'}"


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _initials(key: str) -> str:
    """Of a dotted key's last word: lr of optim.learning_rate."""
    return "".join(part[:1] for part in _last(key).split("_"))


def factory(node: Mapping[str, Any], path: str) -> Callable[..., Any]:
    """The callable that a node's `_target_` names.

    Raises:
        ConfigError: the node has no `_target_`, or it cannot be imported.
    """
    target = node.get("_target_")
    if not isinstance(target, str) or "." not in target:
        raise ConfigError(f"{path}: needs a _target_ such as ablation.aug.cutout.cutout, has {target!r}")
    module, _, name = target.rpartition(".")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as e:
        raise ConfigError(f"{path}._target_={target}: {e}") from e
    return found


def build(node: Mapping[str, Any], path: str, offered: Mapping[str, Any] | None = None, /, **context: Any) -> Any:
    """Call the factory with the node's arguments and the context; of what is `offered`, with what it has a name for.

    A factory refuses a value with `ValueError("argument: what is wrong and the way out")`.

    Raises:
        ConfigError: unknown or missing arguments, or values that the factory refuses; names the key.
    """
    make = factory(node, path)
    arguments = {k: v for k, v in node.items() if k != "_target_"}
    accepted = inspect.signature(make).parameters
    context |= {name: value for name, value in (offered or {}).items() if name in accepted}
    if not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        for name in arguments:
            if name not in accepted or name in context:
                raise ConfigError(f"{path}.{name}: no such argument; {near(name, set(accepted) - set(context))}")
    for name, parameter in accepted.items():
        given = name in arguments or name in context
        if not given and parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
            raise ConfigError(f"{path}.{name}: is missing")
        if name in arguments:
            arguments[name] = _settled(arguments[name], parameter, f"{path}.{name}")
    try:
        return make(**arguments, **context)
    except ValueError as e:
        raise ConfigError(f"{path}.{e}") from e
    except TypeError as e:
        raise ConfigError(f"{path}: {e}") from e


def _settled(value: Any, parameter: inspect.Parameter, key: str) -> Any:
    """A value as the signature wants it: a truth value, text, numbers; an integer where that is wanted.

    Any text is true to Python, also "no" and "off"; and a factory that compares text with a number does not say which.
    """
    kind = getattr(parameter.annotation, "__name__", str(parameter.annotation))
    if value is None and kind.endswith(" | None"):
        return None
    kind = kind.removesuffix(" | None")
    if kind == "bool" and not isinstance(value, bool):
        raise ConfigError(f"{key}: {value!r} is neither true nor false")
    if kind == "str" and isinstance(value, list | dict):
        raise ConfigError(f"{key}: {value!r} is not text")
    if kind == "Sequence[float]" and not (isinstance(value, list | tuple) and all(map(_number, value))):
        raise ConfigError(f"{key}: {value!r} is not a list of numbers")
    if kind == "Collection[str]" and not isinstance(value, list | tuple):
        raise ConfigError(f"{key}: {value!r} is not a list of names such as [bias,norm]")
    if kind in ("int", "float") and not _number(value):
        raise ConfigError(f"{key}: {value!r} is not a number")
    if kind == "int" and value != int(value):
        raise ConfigError(f"{key}: {value!r} is not a whole number")
    numbers = value if kind == "Sequence[float]" else [value] if kind in ("int", "float") else []
    limit = _LONGEST if kind == "int" else _LARGEST
    if any(abs(number) > limit for number in numbers):
        raise ConfigError(f"{key}: {value!r} is more than can be computed with; give at most {limit:g}")
    return int(value) if kind == "int" else value


def _number(value: Any) -> bool:
    return type(value) is int or (isinstance(value, float) and math.isfinite(value))


def build_all(group: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Build every option of an additive group, in order, under its name."""
    return {name: build(node, f"{path}.{name}") for name, node in group.items()}
