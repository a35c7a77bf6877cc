"""Trials that depend on others: a student's trial waits for its teacher's of the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ablation.errors import ConfigError

if TYPE_CHECKING:
    from launch.sweep.submission import Planned


def depths(planned: Sequence[Planned]) -> dict[str, int]:
    """Arm id -> its stage: 0 without a teacher among these arms, else one more than the teacher's.

    Raises:
        ConfigError: teachers form a circle, as only files edited by hand can.
    """
    teachers = {p.arm.id: p.teacher for p in planned}
    found: dict[str, int] = {}
    for arm in teachers:
        chain = [arm]
        while (teacher := teachers[chain[-1]]) in teachers and teacher is not None and teacher not in found:
            if teacher in chain:
                raise ConfigError(f"teacher: the arms {', '.join(chain)} wait for each other")
            chain.append(teacher)
        for member in reversed(chain):
            above = teachers[member]
            found[member] = found[above] + 1 if above is not None and above in found else 0
    return found
