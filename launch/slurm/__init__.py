"""Sweeps on a SLURM cluster: trials are submitted as arrays of jobs, and tried again by the retry policy.

A submission gets on in *rounds* (`rounds.py`): read how every trial stands (`triage.py`) and why those that are not
done ended (`causes.py`), and submit what is to be tried (`job_batches.py`, `submitter.py`). The launcher makes the
first round (`submit.py`); later ones are made by a small job that follows the others (`keeper.py`, `keeper_job.py`), by
`wait=true`, or by a person's `ablation watch` and `ablation retry`. A job trains its part in `job.py`. Nothing is kept
between rounds but files (`records.py`), so that any of these may be killed at any time.
"""
