"""What to do with a trial that is not done: try it again, with what changed, or stop. Pure; nothing is run here.

The policy is the launcher's `retry:` node, one rule a cause (`conf/hydra/launcher/_retry.yaml` explains each).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ablation.build import near
from ablation.errors import ConfigError
from launch.compose.arm import Work
from launch.sweep.launcher_options import MOST, refuse_unknown, refused, truth, whole

# What can end a trial: its journal says so, or else SLURM, or the process died without an error (killed).
CAUSES = (
    "oom", "time_limit", "preempted", "node", "killed", "disk",
    "error", "contract", "config", "diverged", "cancelled", "stopped", "blocked",
)  # fmt: skip
# What can be decided. RESET, "forgive" in files: a person asked to try it again, so earlier failures count no more.
# REFUSED: SLURM did not take it; a later round asks again, a few times.
RETRY, STOP, HOLD, RESET, REFUSED = "retry", "stop", "hold", "forgive", "refused"


@dataclass(frozen=True)
class Resources:
    """What a trial is given: its room."""

    pack: int = 1  # trials side by side on its device
    mem_mib: int | None = None  # of the whole job; None: what the cluster gives
    exclude: tuple[str, ...] = ()  # nodes to keep away from


@dataclass(frozen=True)
class AttemptFailure:
    """One attempt that did not finish."""

    cause: str
    step: int = 0  # of the checkpoint it left
    node: str = ""
    device: bool = False  # oom: the device's memory ran out, not the machine's


@dataclass(frozen=True)
class RetryRule:
    """What follows from one cause."""

    tries: int  # how often a trial is tried again for this cause
    resume: bool = False  # only attempts that got no further than an earlier one count
    exclude: bool = False  # keep away from the node it happened on
    pack: float = 1.0  # divide the number of trials side by side by this, down to one
    mem: float = 1.0  # alone already: multiply the memory by this


Policy = Mapping[str, RetryRule]


@dataclass(frozen=True)
class Retry:
    """Try it again, with these resources."""

    room: Resources


@dataclass(frozen=True)
class GiveUp:
    """Leave it, and why."""

    reason: str


@dataclass(frozen=True)
class Decision:
    """What was decided about one piece of work on a cluster; `array` is the array of jobs in which it failed."""

    work: Work
    decision: str  # RETRY, STOP, HOLD (a canary failed), RESET or REFUSED
    reason: str = ""
    array: int = 0
    cause: str = ""
    step: int = 0
    node: str = ""
    device: bool = False
    time: float = 0.0

    @property
    def failure(self) -> AttemptFailure:
        """The failure that was decided about, as `decide` takes it."""
        return AttemptFailure(self.cause, self.step, self.node, self.device)


def read(node: Any) -> Policy:
    """The policy of a `retry:` node; causes without a rule are not retried.

    Raises:
        ConfigError: an unknown cause, setting or value.
    """
    if not isinstance(node, Mapping):
        raise ConfigError(
            f"hydra.launcher.retry={node}: should be a mapping such as {{oom: {{tries: 1}}}}, {{}} for none"
        )
    return {cause: RetryRule(0) for cause in CAUSES} | {cause: _rule(cause, rule) for cause, rule in node.items()}


def decide(failures: Sequence[AttemptFailure], room: Resources, policy: Policy) -> Retry | GiveUp:
    """What follows from the last failure, given the earlier ones (oldest first) and the room it had.

    A trial that keeps failing is stopped after finitely many retries: each uses up a try of its cause, or, where
    resuming is free, got further than every attempt before.
    """
    last = failures[-1]
    rule = policy[last.cause]
    counted = [
        f for n, f in enumerate(failures) if f.cause == last.cause and not (rule.resume and _further(failures, n))
    ]
    if len(counted) > rule.tries:
        again = f" ({len(counted)} times)" if len(counted) > 1 else ""
        return GiveUp(f"{last.cause}{again}")
    if rule.exclude and last.node:
        room = replace(room, exclude=tuple(sorted({*room.exclude, last.node})))
    return _roomier(room, rule, last.device) if rule.pack > 1 or rule.mem > 1 else Retry(room)


def _rule(cause: str, node: Any) -> RetryRule:
    path = f"hydra.launcher.retry.{cause}"
    if cause not in CAUSES:
        raise ConfigError(f"{path}: no such cause; {near(cause, CAUSES)}")
    if not isinstance(node, Mapping):
        raise ConfigError(f"{path}={node!r}: should be a mapping such as {{tries: 1}}")
    refuse_unknown(node, [f.name for f in fields(RetryRule)], path, "setting")
    whole({"tries": 0, **node}, "tries", 0, path, "a whole number, 0 for no retry")
    for name in ("resume", "exclude"):
        truth(node, name, path)
    for name in ("pack", "mem"):
        factor = node.get(name, 1.0)
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= MOST:
            raise refused(f"{path}.{name}", factor, f"a factor from 1 to {MOST}")
    return RetryRule(**node)


def _further(failures: Sequence[AttemptFailure], n: int) -> bool:
    """Whether attempt n left a later checkpoint than every attempt before it."""
    return failures[n].step > max((f.step for f in failures[:n]), default=0)


def _roomier(room: Resources, rule: RetryRule, device: bool) -> Retry | GiveUp:
    """More room after memory ran out: fewer trials side by side first, then more memory for the job."""
    if room.pack > 1 and rule.pack > 1:
        return Retry(replace(room, pack=max(1, min(room.pack - 1, int(room.pack / rule.pack)))))
    if device:
        return GiveUp(
            "oom: it was alone on the device, whose memory is not enough; give a smaller batch_size or a larger device"
        )
    if rule.mem == 1:
        return GiveUp("oom: it was alone in its job, and hydra.launcher.retry.oom.mem=1 asks for no more memory")
    if room.mem_mib is None:
        return GiveUp(
            "oom: it was alone in its job, whose memory is the cluster's default; set hydra.launcher.resources.mem, so "
            "that a retry can ask for more"
        )
    return Retry(replace(room, mem_mib=math.ceil(room.mem_mib * rule.mem)))
