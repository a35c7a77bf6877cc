"""Sweeps on a SLURM cluster.

A submission is driven in *rounds* (`round.py`): look at every trial's files, find out of those that are not done why,
and submit what is to be tried. The first round is the submission; later ones are made by a small job that follows the
others (`keeper_job.py`), by `wait=true`, or by a person's `ablation watch` and `ablation retry`. Nothing lives between
rounds but files (`store.py`), so that any of these may be killed at any time.
"""
