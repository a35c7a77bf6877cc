"""What a step would do to a GPU, seen without one: on torch's meta device, whose tensors have no values.

A GPU works through a queue. Whoever asks for a value waits until the queue is empty, and whoever sends one from the
host may wait as well, and cannot be recorded. On `meta` most reads raise; the other faults are seen here, operator by
operator, under what autograd and `torch.vmap` make of the code.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from one_step import begun, imitation
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import ablation
from ablation.evaluate import tally
from ablation.machine.precision import Precision
from ablation.state import State
from ablation.train import Recorder, train
from ablation.trial.evaluated_weights import candidates
from ablation.trial.prepare import to_device

META = Precision("fp32", torch.device("meta"), "has no autocast")
STEPS = 2  # the whole training: one epoch, of which all steps but the first are watched
_CODE = str(Path(ablation.__file__).parent)
_MADE = {torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor}  # of Python's numbers: no operator is seen
# Operators whose result has a shape that depends on values (beside torch's own tags), or that look at a status.
_READ = ("_linalg_check_errors", "_linalg_svd", "_linalg_eigh", "linalg_eig", "histc", "is_nonzero")
_TAGS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
_INDEX = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put")
_FREE = ("_unsafe_view", "lift_fresh", "is_same_size", "empty", "empty_like", "empty_strided", "new_empty")


class Watching:
    """A context in which operators are looked at. Tensors on the CPU without dimensions are numbers, and no fault."""

    def __init__(self) -> None:
        self.faults: list[str] = []  # each once: what was done, and by which line of the project
        self.launches = 0  # operators that start something on the device: all but views and `empty`
        self._modes = ExitStack()

    def __enter__(self) -> Watching:
        self._modes.enter_context(_Made(self.fault))
        self._modes.enter_context(_Operators(self))
        return self

    def __exit__(self, *_: object) -> None:
        self._modes.close()

    def fault(self, what: str, where: str = "") -> None:
        """Note a fault, once, with the line of the project that is at work."""
        text = f"{where or _line()}: {what}"
        if text not in self.faults:
            self.faults.append(text)

    def raised(self, e: Exception) -> None:
        """Note the exception with which `meta` answers a read."""
        frames = traceback.extract_tb(e.__traceback__)
        own = [f"{_short(f.filename)}:{f.lineno}" for f in frames if f.filename.startswith(_CODE)]
        self.fault(f"{type(e).__name__}: {' '.join(str(e).split())[:200]}", own[-1] if own else "?")


class _Operators(TorchDispatchMode):  # type: ignore[misc]
    def __init__(self, seen: Watching) -> None:
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given, made = _tensors((args, kwargs)), _tensors(out)
        name = func._schema.name.removeprefix("aten::")
        on_device = any(not t.is_cpu for t in (*given, *made))
        on_host = any(t.is_cpu and t.dim() > 0 for t in given)
        copying = name in ("_to_copy", "copy_")
        if copying and any(t.is_cpu for t in given) and any(not t.is_cpu for t in made):
            shape = next(tuple(t.shape) for t in given if t.is_cpu)
            self.seen.fault(f"copies a tensor of shape {shape} from the host")
        elif on_device and on_host and not copying:
            self.seen.fault(f"{name} is given tensors of the host and of the device")
        if on_device and _reads(func, name, given):
            self.seen.fault(f"{name} makes the host wait for the device")
        if any(t.is_cpu and t.dim() > 0 for t in made) and (not given or name == "lift_fresh"):
            self.seen.fault(f"{name} makes a tensor on the host")
        self.seen.launches += on_device and name not in _FREE and not _is_view(func)
        return out


class _Made(TorchFunctionMode):  # type: ignore[misc]
    """Tensors of Python's numbers: made on the host and sent, before any operator is seen."""

    def __init__(self, fault: Any) -> None:
        super().__init__()
        self.fault = fault

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in _MADE and not out.is_cpu:
            self.fault(f"makes a tensor of shape {tuple(out.shape)} of numbers and sends it")
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(i, list) for i in index):
                self.fault("takes a list for an index and sends it")
        return out


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _reads(func: Any, name: str, given: Sequence[Tensor]) -> bool:
    if name in _INDEX:  # the shape depends on values only if a mask is the index
        return any(t.dtype in (torch.bool, torch.uint8) for t in given[1:])
    return name in _READ or not _TAGS.isdisjoint(func.tags)


def _is_view(func: Any) -> bool:
    aliases = [a.alias_info for a in func._schema.arguments if a.alias_info is not None]
    return bool(aliases) and not any(a.is_write for a in aliases)


def _line() -> str:
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(_CODE):
            return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "?"


def _short(path: str) -> str:
    return str(Path(path).relative_to(Path(_CODE).parent))


class _Steps(Recorder):
    """Watches all steps but the first, which may fill what is kept for the others."""

    def __init__(self, seen: Watching) -> None:
        self.seen, self.watched = seen, ExitStack()

    def step(self, state: State) -> None:
        if state.step == 1:
            self.watched.enter_context(self.seen)
        if state.step == STEPS:
            self.watched.close()

    def epoch(self, state: State) -> None:
        pass


def watch(config: Mapping[str, Any], seeds: Sequence[int] = (0,)) -> tuple[Watching, Watching]:
    """A whole training of a few real steps on `meta`, and its evaluation: what was seen in each.

    `config` needs batches of its size; it is trained for one epoch of random images.
    """
    node = config["data"]
    config = {**config, "epochs": 1, "data": {**node, **({"path": "imitated"} if "path" in node else {})}}
    data = to_device(imitation(config["data"], STEPS * config["batch_size"], size=32), META.device)
    plan, state = begun(config, data, META, seeds)
    training, evaluation = Watching(), Watching()
    steps = _Steps(training)
    try:
        with steps.watched:
            train(plan, state, steps)
    except (RuntimeError, NotImplementedError, TypeError) as e:
        training.raised(e)
        return training, evaluation
    try:
        weights = candidates(plan, state)
        with evaluation:
            for tensors in weights.values():
                tally(plan.learner, tensors, data.test, state.weights.lanes)
    except (RuntimeError, NotImplementedError, TypeError) as e:
        evaluation.raised(e)
    return training, evaluation
