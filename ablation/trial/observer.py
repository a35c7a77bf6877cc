"""Who is told how a trial goes, so that a person can be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Leg:
    """What is about to be trained: the seeds together, and from where."""

    seeds: Sequence[int]
    epochs: int
    steps: int  # of the whole training
    start: int  # step at which this attempt begins; above 0 it resumes
    device: str
    precision: str
    params: int


class Watch(ABC):
    """All calls come from the training thread and must be quick."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Something a person should know."""

    @abstractmethod
    def begin(self, leg: Leg) -> None:
        """Training starts or resumes."""

    @abstractmethod
    def tick(self) -> None:
        """One step was sent to the device."""

    @abstractmethod
    def epoch(self, seed: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """One seed's epoch was evaluated."""

    @abstractmethod
    def end(self, seed: int, result: Mapping[str, Any]) -> None:
        """One seed is done."""
