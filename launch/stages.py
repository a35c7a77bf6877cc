"""Trials that depend on others: a student's teacher is trained first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.sweep import Planned


def depths(planned: Sequence[Planned]) -> dict[str, int]:
    """Arm id -> its stage: 0 without a teacher among these arms, else one more than the teacher's."""
    teachers = {p.arm.id: p.teacher for p in planned}
    found: dict[str, int] = {}
    for arm in teachers:
        chain = [arm]
        while (teacher := teachers.get(chain[-1])) in teachers and teacher is not None and teacher not in found:
            chain.append(teacher)
        for member in reversed(chain):
            above = teachers[member]
            found[member] = found[above] + 1 if above is not None and above in found else 0
    return found
