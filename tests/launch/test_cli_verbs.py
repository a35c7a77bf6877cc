"""The verbs as a user types them, over run folders written by hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ablation.store.attempt import Owner
from launch.cli import main
from launch.compose.paths import ROOT
from launch.sweep.submission import Submission
from tests.launch.handmade import epoch, failed, finish, make, saved, seed_folder, start, stopped, sweep

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    """Done, resumed, failed, running, stopped and new trials."""
    out = tmp_path_factory.mktemp("runs")
    sweep(out, "seeds=2", name="earlier")
    s = sweep(out, "seeds=2", "aug=mixup seeds=2", "aug=cutout", "aug=[cutout,mixup] optim.lr=0.3", name="demo")
    for k in range(2):
        make(seed_folder(s, 0, k), 1, start(), epoch(3), saved(30), {"event": "done", "time": 136.0})
        finish(seed_folder(s, 0, k), 1, test_acc=90.0 + k)
    make(seed_folder(s, 1), 1, start(), epoch(1), failed("oom", "CUDA out of memory", time=3700.0))
    make(seed_folder(s, 1, 1), 1, start(), epoch(2), owner=Owner.here(), beat=0)
    make(seed_folder(s, 2), 1, start(), epoch(1), saved(10, 110.0), stopped(time=120.0))
    return s


def asked(capsys: Capture, s: Submission, *arguments: str) -> tuple[int, dict[str, Any]]:
    """A verb's answer to a program."""
    code = main([*arguments, "--out", str(s.out), "--json"])
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, printed


def said(capsys: Capture, s: Submission, *arguments: str) -> tuple[int, str]:
    """A verb's answer to a person."""
    code = main([*arguments, "--out", str(s.out)])
    caught = capsys.readouterr()
    return code, caught.out + caught.err


def ids(printed: dict[str, Any]) -> list[tuple[str, int]]:
    return [(t["id"], t["seed"]) for t in printed["trials"]]


def test_status_tells_every_trial(capsys: Capture, demo: Submission) -> None:
    code, printed = asked(capsys, demo, "status")
    assert code == 1  # one has failed
    assert printed["sweep"] == "demo"  # submitted last
    assert printed["totals"] == {"done": 2, "running": 1, "new": 1, "stopped": 1, "failed": 1}
    first, second, *_ = printed["arms"]
    assert (first["mean"], round(first["std"], 3), first["done"], first["total"]) == (90.5, 0.707, 2, 2)
    assert (second["state"], second["cause"], second["epochs"]) == ("failed", "oom", 3)
    assert [t["state"] for t in printed["trials"]] == ["done", "done", "failed", "running", "stopped", "new"]


def test_status_tells_what_it_cost(capsys: Capture, demo: Submission) -> None:
    hours = asked(capsys, demo, "status")[1]["hours"]["CPU"]
    assert hours["failed"] == pytest.approx(1.0)
    assert hours["redone"] == pytest.approx(10 / 3600, abs=1e-6)  # saved at 110, stopped at 120
    assert hours["spent"] == pytest.approx((2 * 36 + 3600 + 10 + 20) / 3600, abs=1e-6)
    assert (
        "training: 1.03 hours on CPU, 1.00 of them wasted (1.00 failed, 0.00 redone)" in said(capsys, demo, "status")[1]
    )


def test_status_fits_a_terminal(capsys: Capture, demo: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "80")
    _, text = said(capsys, demo, "status", "demo")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    rows = [line for line in plain.splitlines() if "±" in line or "failed: oom" in line or "cutout+mixup" in line]
    assert len(rows) == 3
    assert max(map(len, rows)) <= 80


def test_status_of_a_sweep_that_is_all_done_is_0(capsys: Capture, demo: Submission) -> None:
    code, printed = asked(capsys, demo, "status", "earlier")  # asked for the first arm alone
    assert (code, printed["totals"]) == (0, {"done": 2})


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--state", "failed"], [(1, 0)]),
        (["--state", "failed", "--state", "new"], [(1, 0), (3, 0)]),
        (["--where", "aug=mixup"], [(1, 0), (1, 1), (3, 0)]),
        (["--where", "aug=[]"], [(0, 0), (0, 1)]),
        (["--where", "aug=[cutout,mixup]"], [(3, 0)]),
        (["--where", "optim.lr=0.3"], [(3, 0)]),
        (["--where", "optim.lr=0.30", "--where", "aug=mixup"], [(3, 0)]),
        (["--where", "data=digits", "--state", "running"], [(1, 1)]),
    ],
)
def test_filters(capsys: Capture, demo: Submission, filters: list[str], expected: list[tuple[int, int]]) -> None:
    _, printed = asked(capsys, demo, "status", *filters)
    arms = list(demo.arms)
    assert ids(printed) == [(arms[a], seed) for a, seed in expected]


def test_filter_by_id(capsys: Capture, demo: Submission) -> None:
    arm = list(demo.arms)[1]
    assert ids(asked(capsys, demo, "status", "--id", arm[:6])[1]) == [(arm, 0), (arm, 1)]
    for seed in ("1", "seed-1"):
        assert ids(asked(capsys, demo, "status", "--id", f"{arm[:6]}/{seed}")[1]) == [(arm, 1)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["status", "dmo"], "dmo: no such sweep under {out}; did you mean demo?"),
        (["status", "--id", "zzz"], "--id zzz: no such trial"),
        (["status", "--where", "optim.lrr=1"], "did you mean optim.lr"),
        (["status", "--where", "aug"], "--where aug: give key=value"),
        (["status", "--state", "dead"], "'dead' is not one of"),
        (["status", "--where", "optim.lr=["], "--where optim.lr=[: [ is no value"),
        (["status", "--rows", "-1"], "-1 is not in the range"),
        (["sttus"], "sttus: no such verb; did you mean status"),
        (["status", "--frobnicate"], "No such option"),
    ],
)
def test_a_wrong_name_is_2_with_the_nearest(capsys: Capture, demo: Submission, arguments: list[str], text: str) -> None:
    line = arguments if arguments[0] != "status" else [*arguments, "--out", str(demo.out)]
    assert main(line) == 2
    assert text.format(out=demo.out) in capsys.readouterr().err
    assert main([*line, "--json"]) == 2
    assert text.format(out=demo.out) in json.loads(capsys.readouterr().out)["error"]


def test_no_sweep_at_all(capsys: Capture, tmp_path: Path) -> None:
    assert main(["status", "--out", str(tmp_path)]) == 2
    assert "no sweep was started there" in capsys.readouterr().err


def test_a_damaged_submission_is_told_and_the_others_count(capsys: Capture, tmp_path: Path) -> None:
    sweep(tmp_path, "seeds=1", name="s")
    second = sweep(tmp_path, "seeds=2", name="s")
    (second.folder / "arms.jsonl").write_text('{"arm": ')
    code, printed = asked(capsys, second, "status")
    assert (code, printed["totals"]) == (1, {"new": 1})
    assert str(second.folder) in printed["trouble"][0]
    assert "warning: " in said(capsys, second, "status")[1]


def test_damaged_run_folders_are_told_and_the_others_count(capsys: Capture, tmp_path: Path) -> None:
    s = sweep(tmp_path, "seeds=4", name="s")
    (make(seed_folder(s, 0, 0), 1) / "journal.jsonl").write_text('5\n{"event": "start"}\nnull\n{"tor')
    (make(seed_folder(s, 0, 1), 1, start(), {"event": "failed", "time": 5.0}) / "owner.json").write_text("")
    seed_folder(s, 0, 2).write_text("not a folder")
    finish(seed_folder(s, 0, 3))
    for name in ("arm.json", "config.yaml"):
        (s.out / next(iter(s.arms)) / name).write_text("")
    code, printed = asked(capsys, s, "status")
    assert code == 1
    told = [(t["state"], t["cause"]) for t in printed["trials"]]
    assert told == [("stopped", "killed"), ("failed", "damaged"), ("failed", "damaged"), ("done", "")]
    assert asked(capsys, s, "logs", "--failed")[0] == 0
    assert "Not a directory" in said(capsys, s, "logs", "--failed")[1]


def test_the_module_is_the_same_command(demo: Submission) -> None:
    line = [sys.executable, "-m", "launch", "status", "--out", str(demo.out)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "6 trials: 2 done, 1 failed, 1 running, 1 stopped, 1 new" in done.stdout
    assert done.stderr == ""


def test_help_tells_the_exit_codes(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for part in ("status", "watch", "cancel", "retry", "explain", "logs", "sync", "Exit codes", "130"):
        assert part in text


def test_ablation_alone_prints_its_help(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    asked_for = capsys.readouterr()
    assert "Usage: ablation" in asked_for.out
    assert main([]) == 0
    assert capsys.readouterr() == asked_for


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("blocked", "no trial of demo is so"),
        ("done", "all trials of demo that were chosen are done or on their way"),
    ],
)
def test_what_retry_says_where_nothing_is_left_to_it(capsys: Capture, demo: Submission, state: str, why: str) -> None:
    assert said(capsys, demo, "retry", "--state", state) == (0, f"nothing to retry: {why}\n")
