"""SLURM refuses: its words reach the user, nothing is taken for a job that never was, and nobody asks for ever."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slurm.cluster import Cluster, call, until
from slurm.lab import LONG, Lab, attempts, check, options, rounds

from ablation.errors import ConfigError
from launch.cli import main
from launch.slurm import records, submit
from launch.slurm.records import LOST, read_arrays
from launch.slurm.rounds import make_round
from launch.sweep import submission as sweep

Capture = pytest.CaptureFixture[str]
StandIn = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"gpus": 8}, "Requested node configuration is not available"),
        pytest.param({"gpus": "a100:1"}, "Requested node configuration is not available", marks=pytest.mark.slow),
        ({"mem": "20000M"}, "Memory specification can not be satisfied"),
        pytest.param({"cpus": 64}, "CPU count per node can not be satisfied", marks=pytest.mark.slow),
        ({"constraint": "h100"}, "Invalid feature specification"),
        ({"nodelist": "n9"}, "Invalid node name specified"),
        pytest.param({"exclude": "n[1-3]"}, "Requested node configuration is not available", marks=pytest.mark.slow),
        ({"partition": "nowhere"}, "invalid partition specified: nowhere"),
    ],
)
def test_what_no_node_can_give_is_refused_in_slurms_words(
    cluster: Cluster, tmp_path: Path, resources: dict[str, Any], words: str
) -> None:
    """SLURM keeps a failed record of some of these in its queue and accounts; it is not taken for a job."""
    lab = Lab(tmp_path)
    with pytest.raises(ConfigError, match=words):
        submit.run(lab.arms(2), options(resources=resources, keeper=True), "the command")
    (folder,) = sweep.submissions(lab.out)
    assert [array.job for array in read_arrays(folder)] == [LOST]
    assert cluster.queue() == []  # nor is a keeper left that has nothing to follow
    assert [path for path in (folder / "jobs").glob("*.sh") if "-keeper-" not in path.name] == []


@pytest.mark.slow
def test_the_verbs_tell_it_and_end(
    cluster: Cluster, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.slurm.rounds.PAUSE", 0.5)
    lab = Lab(tmp_path)
    with pytest.raises(ConfigError):
        submit.run(lab.arms(1), options(resources={"gpus": 8}), "the command")
    words = "Requested node configuration is not available"

    def asked(verb: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([verb, "--out", str(lab.out)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    code, out, _ = asked("status")
    assert code == 1
    assert "1 failed" in out
    code, out, err = asked("watch")
    assert (code, err.count(words)) == (1, 2)  # it was asked again, and then given up
    (folder,) = sweep.submissions(lab.out)
    assert len(read_arrays(folder)) == 3
    assert make_round(folder).over
    assert len(read_arrays(folder)) == 3
    main(["status", "--out", str(lab.out), "--json"])
    (trial,) = json.loads(capsys.readouterr().out)["trials"]
    assert (trial["state"], trial["cause"]) == ("failed", "refused")
    assert words in trial["message"]
    code, out, err = asked("retry")
    assert (code, words in err) == (2, True)
    assert "Traceback" not in out + err


@pytest.mark.slow
def test_one_refusal_does_not_hold_up_the_others(cluster: Cluster, tmp_path: Path) -> None:
    """Memory that no node has is asked for after a trial ran out of it; another trial was merely killed."""
    lab = Lab(tmp_path)
    lab.brake("oom", arm=0)
    lab.brake(1, arm=1)
    submission, report = lab.submit(lab.arms(2, LONG), resources={"mem": "10000M"})
    cluster.gone(f"{report.jobs[0]}_0")
    until(lambda: attempts(submission) == [1, 1], "both to have begun")
    call("scancel", f"{report.jobs[0]}_1")
    cluster.gone(f"{report.jobs[0]}_1")
    lab.brake(None, arm=1)
    killed = f"{submission.works[1].label}"
    found = make_round(submission.folder, again=[killed])
    assert (list(found.refused.values()), found.in_queue) == (
        ["Memory specification can not be satisfied; Batch job submission failed: Requested node configuration is not "
         "available"], 1,
    )  # fmt: skip
    last = rounds(submission)[-1]
    assert last.done == 1
    assert "SLURM refused it 3 times: Memory spec" in next(iter(last.given_up.values()))
    lab.brake(None)
    again = list(last.given_up)
    assert make_round(submission.folder, again=again, seen=len(read_arrays(submission.folder))).in_queue == 1
    assert rounds(submission)[-1].done == 2
    check(submission)


def test_a_teacher_that_is_refused_takes_its_students_with_it(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    arms = lab.arms(1, "loss=distill", "teacher=same")
    with pytest.raises(ConfigError, match="SLURM takes none of these jobs"):
        submit.run(arms, options(resources={"gpus": 8}), "the command")
    (folder,) = sweep.submissions(lab.out)
    assert len(sweep.load(folder).works) > 1
    works = sweep.load(folder).works
    decided = records.read_decisions(folder)
    assert {work: [d.decision for d in known] for work, known in decided.items()} == {w: ["refused"] for w in works}
    for _ in range(3):
        last = make_round(folder)
    assert set(last.given_up) == {work.label for work in works}
    assert set(make_round(folder, again=list(last.given_up)).refused) == {work.label for work in works}  # asked anew


def test_a_passing_refusal_is_none(cluster: Cluster, tmp_path: Path, stand_in: StandIn) -> None:
    lab = Lab(tmp_path)
    closed = stand_in("sbatch", 'echo "sbatch: error: come back later" >&2; exit 1')
    submission, report = lab.submit(lab.arms(2))
    assert list(report.refused.values()) == ["come back later"] * 2
    closed.unlink()
    assert rounds(submission)[-1].done == 2
    assert attempts(submission) == [1, 1]
    check(submission)


def test_where_only_one_node_fits_what_failed_there_is_tried_there_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retry keeps away from the node that was at fault; without that one no node is left, and SLURM refuses."""
    lab = Lab(tmp_path)
    with monkeypatch.context() as moved:
        moved.setattr(sys, "executable", str(tmp_path / "gone"))
        submission, report = lab.submit(lab.arms(1), resources={"nodelist": "n1"})
    cluster.gone(f"{report.jobs[0]}_0")
    tried = make_round(submission.folder)
    assert list(tried.retried.values()) == ["node"]
    assert tried.refused == {}
    assert tried.notes == ("without n1 SLURM takes no job, so what failed there is tried there again",)
    assert [array.job for array in read_arrays(submission.folder)] == [report.jobs[0], LOST, *tried.jobs]
    assert [array.room.exclude for array in read_arrays(submission.folder)] == [(), ("n1",), ()]
    assert {array.room.mem_mib for array in read_arrays(submission.folder)} == {None}  # still the cluster's default
    assert rounds(submission)[-1].done == 1
    assert attempts(submission) == [1]
    check(submission)
