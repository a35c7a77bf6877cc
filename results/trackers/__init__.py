"""Trials from a tracker, as data frames."""
