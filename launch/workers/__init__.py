"""Trials in worker processes on one machine: the local launcher, and what runs inside a SLURM job."""
