"""Schedules that count steps, and so depend on the data set."""

from __future__ import annotations


class Uncounted(LookupError):
    """The schedule counts steps, and was not told how many an epoch has, since no data are loaded yet."""
