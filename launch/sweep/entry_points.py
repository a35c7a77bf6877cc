"""The modules by which a submission's frozen code is started; it says which, since versions name them otherwise."""

from __future__ import annotations

from collections.abc import Mapping

WORKER, JOB, KEEPER = "worker", "job", "keeper"
Entries = Mapping[str, str]  # these -> a module of the frozen code
NOW: Entries = {WORKER: "launch.workers.worker", JOB: "launch.slurm.job", KEEPER: "launch.slurm.keeper_job"}
# In code that was frozen before submissions said so. These never change, whatever the modules are called today.
UNSAID: Entries = {WORKER: "launch.worker", JOB: "launch.slurm.job", KEEPER: "launch.slurm.keep"}
