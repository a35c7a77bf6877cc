"""Optimisers: one file each, a factory that is given the weights; a leading underscore marks shared parts."""
