"""Data sets: one file each, a factory that returns `ablation.types.Data`; a leading underscore marks shared parts."""
