"""SLURM is asked for what files do not say, in one short try; what it does not say is no answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slurm.cluster import Cluster
from slurm.lab import LONG, Lab, attempts, check, rounds

from ablation.errors import AblationError
from launch.cli import main
from launch.slurm import backend, commands, jobs
from launch.slurm.jobs import JobKey
from launch.slurm.rounds import make_round

Capture = pytest.CaptureFixture[str]
StandIn = Callable[[str, str], Path]


def asked(capsys: Capture, *arguments: str) -> tuple[int, dict[str, Any], float]:
    capsys.readouterr()
    began = time.monotonic()
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out), time.monotonic() - began


@pytest.mark.slow
def test_nothing_is_asked_when_all_is_done(
    cluster: Cluster, tmp_path: Path, capsys: Capture, stand_in: StandIn
) -> None:
    lab = Lab(tmp_path)
    submission, _ = lab.submit(lab.arms(1))
    rounds(submission)
    calls = tmp_path / "calls"
    for command in ("squeue", "sacct", "scontrol", "sbatch", "scancel"):
        stand_in(command, f"echo {command} >> {calls}; sleep 300")
    for verb in ("status", "watch", "retry"):
        code, printed, _ = asked(capsys, verb, "--out", str(lab.out))
        assert code == 0
        assert printed.get("totals", {"done": 1}) == {"done": 1}
    assert make_round(submission.folder).over
    assert not calls.exists()


def test_a_queue_that_hangs_is_waited_for_once(
    cluster: Cluster, tmp_path: Path, capsys: Capture, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "LOOK", commands.Patience(2))
    lab = Lab(tmp_path)
    lab.brake(1)
    submission, _ = lab.submit(lab.arms(2, LONG), parallel=1)
    lab.submit(lab.arms(2, LONG), parallel=1)
    hung = stand_in("squeue", f"echo 1 >> {tmp_path / 'calls'}; sleep 300")
    code, printed, seconds = asked(capsys, "status", "--out", str(lab.out))
    (trouble,) = printed["trouble"]
    assert "squeue: no answer within 2 s" in trouble
    assert seconds < 10
    assert (tmp_path / "calls").read_text().split() == ["1"]
    assert code in (0, 1)  # by the files alone it is not known whether anybody will train them
    code, printed, seconds = asked(capsys, "cancel", "--out", str(lab.out))
    assert code == 1
    assert "2 trials marked as cancelled" in printed["error"]
    hung.unlink()
    lab.brake(None)
    asked(capsys, "cancel", "--out", str(lab.out))
    rounds(submission)
    assert asked(capsys, "status", "--out", str(lab.out))[1]["totals"] == {"cancelled": 2}


@pytest.mark.slow
def test_watch_ends_when_slurm_cannot_be_asked(
    cluster: Cluster, tmp_path: Path, capsys: Capture, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.slurm.rounds.PAUSE", 0.05)
    monkeypatch.setattr("launch.slurm.rounds._PAUSE_FACTOR", 0)
    lab = Lab(tmp_path)
    submission, _ = lab.submit(lab.arms(1), resources={"hold": True})
    gone = stand_in("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    code, printed, _ = asked(capsys, "watch", "--out", str(lab.out))
    assert code == 1
    assert "5 times in a row: squeue: slurm_load_jobs error: Unable to contact slurm controller" in printed["error"]
    gone.unlink()
    assert backend.cancel(submission) == []
    assert len(cluster.queue()) == 1


SAID = """Welcome to the cluster|of|many|names
job|{job}|0|RUNNING|n1|N/A|None|{name}|{name}|end
"""


@pytest.mark.parametrize(
    "answer",
    [
        "job|{job}|0|RUNNING|n1|N/A|None|{name}|ablat\n",
        "job|{job}|0|RUNNING|n1|N/A|None|{name}|{name}|end\njob|{job}|1|RUN",
        "job|{job}|0|RUNNING|n1\n",
        "jo",
    ],
)
def test_an_answer_that_is_cut_off_is_none(stand_in: StandIn, answer: str) -> None:
    text = answer.format(job=77, name="ablation-x")
    stand_in("squeue", f"printf '%s' '{text}'")
    with pytest.raises(AblationError, match="cut off"):
        jobs.queue([JobKey("ablation-x", "77")])


def test_a_greeting_is_no_job(stand_in: StandIn) -> None:
    stand_in("squeue", f"printf '%s' '{SAID.format(job=77, name='ablation-x')}'")
    assert [job.id for job in jobs.queue([JobKey("ablation-x", "77")]).values()] == ["77_0"]


def test_what_sites_make_of_sacct(stand_in: StandIn) -> None:
    lines = [
        "77_0|CANCELLED+|n1|2026-11-01T10:00:00|4Gn|ablation-x|",
        "77_1|OUT_OF_ME+|n2|Unknown|2000Mc|ablation-x|",
        "77_2|CANCELLED by 0|None assigned|N/A||ablation-x|",
        "77_3|FAILED|n1|None|0|ablation-x|",
        "77_3.0|OUT_OF_MEMORY|n1|None||python|",
        "77_4|COMPLETED|n1",
        "77_5|CANCELLED|n1|None||ablation-x|",
        "Grüße vom Rechenzentrum",
        "",
    ]
    stand_in("sacct", f"cat << 'X'\n{chr(10).join(lines)}\nX")
    found = jobs.accounts([JobKey("ablation-x", "77")], since=0.0)
    assert {id_: (job.state, job.node, job.mem_mib) for id_, job in found.items()} == {
        "77_0": ("CANCELLED", "n1", 4096),
        "77_1": ("OUT_OF_MEMORY", "n2", None),
        "77_2": ("CANCELLED", "", None),
        "77_3": ("OUT_OF_MEMORY", "n1", None),
        "77_5": ("LOST", "n1", None),  # nobody cancelled it: the controller lost its state
    }


@pytest.mark.slow
def test_a_persons_settings_change_no_answer(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SQUEUE_FORMAT": "%i", "SQUEUE_STATES": "COMPLETED", "SQUEUE_SORT": "-i", "SACCT_FORMAT": "jobid",
        "SLURM_TIME_FORMAT": "relative", "LC_ALL": "de_DE", "LANG": "tr_TR.UTF-8",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    lab = Lab(tmp_path)
    submission, _ = lab.submit(lab.arms(1))
    assert backend.pending([submission]).awaited == submission.trials
    assert rounds(submission)[-1].done == 1
    assert attempts(submission) == [1]
    check(submission)
