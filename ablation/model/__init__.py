"""Networks: one file each, a factory of a `Model` of `ablation.types`; a leading underscore marks shared parts."""
