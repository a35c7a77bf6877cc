"""Schedules: one file each, which says how fields of the optimiser run; a leading underscore marks shared parts."""
