"""A sweep that an earlier version has submitted is brought to its end on a real SLURM, by the code frozen then."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm.cluster import Cluster, until

from tests.launch.old.lab import FROZEN, Lab, epochs, results, saved, starts


@pytest.mark.slow
def test_lost_and_queued_trials_of_an_old_submission_run_to_their_end(cluster: Cluster, tmp_path: Path) -> None:
    """Its cluster is gone with all jobs: one was done, one had failed, one was training, one waited."""
    lab = Lab(tmp_path / "lab")
    before, seeds = results(lab.out), lab.folders("slurm")
    assert lab.states("slurm") == ["done", "failed", "stopped", "new"]
    step = saved(seeds[2])
    code, told = lab.verb("retry", "slurm")
    assert (code, len(told.get("retried", [])), len(told.get("jobs", []))) == (0, 3, 1), told
    assert len(cluster.queue()) == 4, "three, and the keeper"
    code, told = lab.verb("watch", "slurm")
    assert (code, [t["state"] for t in told["trials"]]) == (1, ["done", "failed", "done", "done"])
    until(lambda: not cluster.queue(), "the keeper to have ended")
    assert [starts(seed) for seed in seeds] == [[0], [0, 0], [0, step], [0]]
    assert [epochs(seed) for seed in seeds if (seed / "result.json").exists()] == [3, 3, 3]
    assert results(lab.out).items() >= before.items()
    assert FROZEN in lab.logs("slurm")
    scripts = [path.read_text() for path in lab.out.glob(".sweeps/slurm/1/jobs/*.sh")]
    for module in ("launch.slurm.job", "launch.slurm.keep"):
        assert sum(f" -m {module} " in text for text in scripts) == 2, "then, and now"
