"""A job is one process with one worker in each place, on whatever node and whatever else is allocated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from slurm.cluster import Cluster, until
from slurm.lab import Lab, attempts, options, rounds

from ablation.errors import ConfigError
from launch.slurm.options import read
from launch.sweep.entry_points import JOB, NOW, WORKER
from launch.sweep.submission import Submission

Shapes = dict[str, tuple[dict[str, Any], int]]  # resources, and the workers that they should give
FEW: Shapes = {
    "exclusive": ({"exclusive": True, "gpus": "fake:1"}, 1),
    "threads": ({"partition": "threads", "gpus": "fake:1"}, 1),  # two a core
}
MORE: Shapes = {
    "two": ({"partition": "threads", "gpus": "fake:2", "cpus": None}, 2),
    "all of a node": ({"gpus": 0, "exclusive": True, "cpus": None}, 1),
    "cores a GPU": ({"cpus": None, "cpus-per-gpu": 4, "gpus": "fake:2"}, 2),
    "GPUs a task": ({"gpus": None, "gpus-per-task": 1}, 1),
    "tasks a core": ({"partition": "threads", "ntasks-per-core": 1}, 1),
}


def processes(submission: Submission, module: str) -> list[int]:
    """Of this submission, that run this module."""
    line = ["-m", NOW[module], str(submission.folder)]
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text().split("\0")
        except OSError:  # gone meanwhile
            continue
        if any(words[k : k + 3] == line for k in range(len(words))) and "srun" not in words[0]:
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("shapes", [FEW, pytest.param(MORE, marks=pytest.mark.slow)], ids=["few", "more"])
def test_one_driver_and_one_worker_a_place(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shapes: Shapes
) -> None:
    """Unasked srun starts a task for each core: 32 on an exclusive node, 2 where a core has two threads."""
    for name in ("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE", "SBATCH_NTASKS", "SLURM_NTASKS_PER_GPU"):
        monkeypatch.setenv(name, "3")
    submissions, labs = {}, []
    for shape, (resources, workers) in shapes.items():
        lab = Lab(tmp_path / shape)
        lab.folder.mkdir()
        lab.brake(5)
        labs.append(lab)
        submissions[shape], _ = lab.submit(lab.arms(workers), resources=resources)
    for lab in labs:  # all run with the last one's
        lab.brake(5)
    for shape, submission in submissions.items():
        lab.begun(submission)
        assert (len(processes(submission, JOB)), len(processes(submission, WORKER))) == (1, shapes[shape][1]), shape
    for lab in labs:
        lab.brake(None)
    for submission in submissions.values():
        last = rounds(submission)[-1]
        assert (last.done, last.given_up) == (len(submission.arms), {})
        assert attempts(submission) == [1] * len(submission.arms)


@pytest.mark.slow
def test_tasks_too_many_leave_all_to_the_first(cluster: Cluster, tmp_path: Path) -> None:
    """What a site's or a user's shell sets inside a job, srun may put before what we ask of it."""
    lab = Lab(tmp_path)
    lab.brake(5)
    setup = ["export SLURM_NTASKS=4 SLURM_NTASKS_PER_GPU=2"]
    submission, _ = lab.submit(lab.arms(1), setup=setup, resources={"gpus": 2, "cpus": None, "cpus-per-gpu": 2})
    lab.begun(submission)
    until(lambda: len(processes(submission, JOB)) == 1, "the other tasks to have left")
    assert len(processes(submission, WORKER)) == 1, "the other GPU has nothing to do"
    lab.brake(None)
    last = rounds(submission)[-1]
    assert (last.done, last.retried) == (1, {})
    (log,) = (submission.folder / "jobs").glob("*.out")
    assert "task 1 of it is one too many" in log.read_text()


@pytest.mark.parametrize("key", ["ntasks", "ntasks-per-node", "ntasks_per_gpu", "tasks_per_node"])
def test_a_number_of_tasks_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"resources\.{key}: a job is one task, .* leave it out"):
        read(options(resources={key: 2}))
