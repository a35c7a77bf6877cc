"""First weights: one file each, a factory of an `Init` of `ablation.types`; a leading underscore marks shared parts."""
