"""Losses: one file each, a factory of a `Term` of `ablation.types`; a leading underscore marks shared parts."""
