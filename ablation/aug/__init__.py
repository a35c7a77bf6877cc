"""Augmentations: one file each, a factory of an `Aug` of `ablation.types`; a leading underscore marks shared parts."""
