"""Trials in worker processes: the local launcher, and the inside of a SLURM job."""
