"""What went wrong is told once for each reason."""

from __future__ import annotations

import errno
import json
import os
import traceback
from pathlib import Path

import pytest

from ablation.store.attempt import Owner
from launch.compose.errors import message
from launch.compose.overrides import verb_command
from launch.sweep.submission import Submission
from launch.workers.driver import DRIVER, driver_record
from tests.launch.handmade import epoch, failed, finish, make, saved, seed_folder, start, stopped, sweep
from tests.launch.test_cli_verbs import asked, said

Capture = pytest.CaptureFixture[str]


def trace(number: int) -> str:
    """A traceback as a trial leaves it."""
    try:
        raise_it(number)
    except ValueError:
        return traceback.format_exc()[-8000:]
    raise AssertionError


def raise_it(number: int) -> None:
    raise ValueError(f"bad number {number}\nNote: this line is no exception")


@pytest.fixture
def broken(tmp_path: Path) -> Submission:
    s = sweep(tmp_path, "seeds=4", "aug=mixup", "aug=cutout", "optim.lr=0.3", name="broken")
    for seed in range(3):
        make(seed_folder(s, 0, seed), 1, start(), failed("error", f"ValueError: bad number {seed}", trace(seed)))
    make(seed_folder(s, 0, 3), 1, start(), failed("diverged", "the loss was not finite at step 17"))
    make(seed_folder(s, 1), 1, start(), failed("diverged", "the loss was not finite at step 9"))
    make(seed_folder(s, 2), 1, start(), epoch(1))
    make(seed_folder(s, 3), 1, start(), epoch(1), saved(10), stopped())
    make(seed_folder(s, 3), 2, start(10), epoch(3))
    finish(seed_folder(s, 3), 2)
    logs = s.folder / "logs"
    logs.mkdir()
    first = next(iter(s.arms))
    (logs / "cpu-0.log").write_text(f"--- {first}/seed-0\nsome output\n--- {first}/seed-1+2\n")
    (logs / "cpu-1.log").write_text(f"--- {first}/seed-10\n")
    return s


def test_failures_are_grouped_by_exception_and_place(capsys: Capture, broken: Submission) -> None:
    code, printed = asked(capsys, broken, "logs", "--failed")
    assert code == 0
    arms = list(broken.arms)
    errors, diverged, killed = printed["groups"]
    assert (errors["kind"], errors["cause"], len(errors["trials"])) == ("ValueError", "error", 3)
    assert errors["place"].startswith(__file__)
    assert "raise_it" in errors["trace"]
    assert (diverged["kind"], [t["id"] for t in diverged["trials"]]) == ("diverged", arms[:2])
    assert (killed["kind"], [t["id"] for t in killed["trials"]]) == ("killed", [arms[2]])


def test_failures_in_words(capsys: Capture, broken: Submission) -> None:
    code, text = said(capsys, broken, "logs", "broken", "--failed")
    assert code == 0
    assert "6 of 7 trials of broken failed, in 3 ways" in text
    assert "3 x ValueError at" in text
    assert "  | Traceback (most recent call last)" in text
    assert text.count("Traceback") == 1
    assert str(broken.folder / "logs" / "cpu-0.log") in text


def test_failures_of_some_trials(capsys: Capture, broken: Submission) -> None:
    _, printed = asked(capsys, broken, "logs", "--failed", "--where", "aug=mixup")
    assert [g["kind"] for g in printed["groups"]] == ["diverged"]
    assert asked(capsys, broken, "logs", "--failed", "--where", "optim.lr=0.3")[1]["groups"] == []
    assert "0 of 1 trials of broken failed\n" in said(capsys, broken, "logs", "--failed", "--where", "optim.lr=0.3")[1]


def test_the_story_of_a_trial(capsys: Capture, broken: Submission) -> None:
    arm = list(broken.arms)[3]
    code, text = said(capsys, broken, "logs", arm[:8])
    assert code == 0
    told = [line.strip().partition("  ")[2] or line.strip() for line in text.splitlines()]
    assert told[0] == f"{broken.names.short[arm]}: done"
    assert told[2:6] == [
        "starts, on cpu (1 threads), fp32",
        "epoch 1  test 50.00%",
        "saved at step 10",
        "saves at step 0 and stops: it was asked",
    ]
    assert told[7:] == ["resumes at step 10, on cpu (1 threads), fp32", "epoch 3  test 50.00%", "died without an error"]


def test_the_story_of_one_seed_with_its_logs(capsys: Capture, broken: Submission) -> None:
    arm = next(iter(broken.arms))
    for text in (f"{arm[:8]}/1", f"{arm[:8]}/seed-1"):
        (trial,) = asked(capsys, broken, "logs", text)[1]["trials"]
        assert (trial["seed"], trial["state"], trial["cause"]) == (1, "failed", "error")
        assert trial["logs"] == [str(broken.folder / "logs" / "cpu-0.log")]
    (trial,) = asked(capsys, broken, "logs", f"{arm}/3")[1]["trials"]
    assert trial["logs"] == []
    code, text = said(capsys, broken, "logs", f"{arm}/7")
    assert code == 2
    assert f"no such seed; {arm} has 0, 1, 2, 3" in text


def test_a_trial_that_goes_on(capsys: Capture, broken: Submission) -> None:
    make(seed_folder(broken, 2), 2, start(10), owner=Owner.here(), beat=0)
    assert "  goes on\n" in said(capsys, broken, "logs", list(broken.arms)[2])[1]


def test_neither_a_sweep_nor_a_run(capsys: Capture, broken: Submission) -> None:
    code, text = said(capsys, broken, "logs", "brokn")
    assert code == 2
    assert "brokn: no such run or sweep" in text
    assert "did you mean broken?" in text


def test_failures_of_one_run(capsys: Capture, broken: Submission) -> None:
    first, second, *_ = broken.arms
    groups = asked(capsys, broken, "logs", "--failed", second)[1]["groups"]
    assert [[t["id"] for t in g["trials"]] for g in groups] == [[second]]
    groups = asked(capsys, broken, "logs", "--failed", f"{first}/3")[1]["groups"]
    assert [[t["seed"] for t in g["trials"]] for g in groups] == [[3]]
    code, text = said(capsys, broken, "logs", first, "--state", "failed")
    assert code == 2
    assert "--state" in text


def test_a_run_stands_in_its_logs_as_in_its_sweep(capsys: Capture, broken: Submission) -> None:
    third = list(broken.arms)[2]
    (broken.folder / DRIVER).write_text(json.dumps(driver_record(broken)))
    assert asked(capsys, broken, "logs", third)[1]["trials"][0]["state"] == "queued"


def test_hints_name_the_folder_unless_it_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert verb_command("retry s", Path("results/runs")) == "ablation retry s"
    assert verb_command("retry s", tmp_path / "results" / "runs") == "ablation retry s"
    assert verb_command("retry s", tmp_path / "my runs") == "ablation retry s --out 'my runs'"
    assert verb_command("retry s", Path("/runs")) == "ablation retry s --out /runs"


def test_what_the_file_system_refuses_is_told_in_words(tmp_path: Path) -> None:
    told = message(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "x")))
    assert told.startswith(f"{tmp_path / 'x'}: ")
    assert "the same command goes on" in told


def test_axes_on_the_command_line_are_added() -> None:
    said = message(Exception("Could not override 'hydra.sweeper.params'."), [])
    assert "'++hydra.sweeper.params={" in said
