"""Regularizers: one file each, of the kinds in `ablation.types`; a leading underscore marks shared parts."""
