"""Sweeps that nothing happens to: shapes of jobs, what they are given, and that nobody has to stay."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import Lab, attempts, check, folders, options, rounds

from ablation.store.attempt import folder, owner
from launch.slurm import submit
from launch.slurm.records import read_arrays


@pytest.mark.slow
def test_each_trial_is_a_task_with_a_gpu_of_its_own(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    setup = [f'echo "$SLURM_ARRAY_TASK_ID $SLURMD_NODENAME:$CUDA_VISIBLE_DEVICES" >> {tmp_path}/gpus']
    submission, report = lab.submit(lab.arms(3), setup=setup)
    assert (report.in_queue, len(report.jobs)) == (3, 1)
    last = rounds(submission)[-1]
    assert (last.done, last.given_up) == (3, {})
    assert set(cluster.states(report.jobs[0]).values()) == {("COMPLETED", "0:0")}
    gpus = [line.split()[1] for line in (tmp_path / "gpus").read_text().splitlines()]
    assert len(set(gpus)) == 3
    tres = call("sacct", "-X", "-n", "-P", "-j", report.jobs[0], "--format=AllocTRES").split()
    assert all("gres/gpu=1" in each and "cpu=1" in each for each in tres)
    check(submission)


def test_packed_and_chained_trials_share_a_job(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(8, "epochs=1"), pack=2, chain=2, resources={"cpus": None})
    assert [len(a.batches) for a in read_arrays(submission.folder)] == [2]
    assert rounds(submission)[-1].done == 8
    jobs = {owner(folder(f, 1)).job for f in folders(submission)}  # type: ignore[union-attr]
    assert jobs == {f"{report.jobs[0]}_0", f"{report.jobs[0]}_1"}
    assert attempts(submission) == [1] * 8
    logs = sorted(p.name for p in (submission.folder / "logs").iterdir())
    assert logs == sorted(f"{job}-{k}.log" for job in jobs for k in (0, 1))
    check(submission)


def test_an_array_is_no_larger_than_slurm_allows(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(8), resources={"begin": "now+1hour"})
    assert [len(a.batches) for a in read_arrays(submission.folder)] == [6, 2]
    assert len(cluster.queue()) == 8
    assert len(report.jobs) == 2


def test_one_can_leave_after_submitting_and_the_keeper_uploads(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(tmp_path)
    for name in ("SLURM_JOB_ID", "SBATCH_PARTITION", "SRUN_DEBUG", "PMIX_RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "nowhere")
    database = f"sqlite:///{tmp_path}/mlflow.db"
    arms = lab.arms(1, "track=[mlflow]", f"track.mlflow.uri={database}")
    setup = [f"env > {tmp_path}/environment"]
    assert submit.run(arms, options(keeper=True, setup=setup), "the command") == {}
    said = capsys.readouterr().out
    assert all(
        line in said for line in ("ablation watch main", "ablation cancel main", "SLURM jobs", "SBATCH_PARTITION")
    )
    until(lambda: not cluster.queue(), "the keeper to have ended")
    seen = dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines() if "=" in line)
    assert seen["SLURM_JOB_ID"] != "nowhere"
    assert not {"SBATCH_PARTITION", "SRUN_DEBUG", "PMIX_RANK", "LOCAL_RANK"} & seen.keys()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        of_trials = "run_uuid IN (SELECT run_uuid FROM tags WHERE key = 'ablation.kind' AND value = 'trial')"
        steps = f"SELECT step FROM metrics WHERE key = 'test_acc' AND {of_trials} ORDER BY step"
        assert connection.execute(steps).fetchall() == [(1,), (2,), (3,)]
        states = connection.execute("SELECT status FROM runs").fetchall()
        assert states == [("FINISHED",)] * 2, "the trial's, and the arm's"
