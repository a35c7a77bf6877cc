"""What a run is, and how two differ."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from launch.cli import main
from launch.cli.selection import Filter, select
from launch.status.sweep_status import narrow_submission
from launch.sweep import earlier_arms
from launch.sweep.earlier_arms import describe_changes
from launch.sweep.submission import Submission
from launch.terminal.sweep_progress import Progress, draw_table
from tests.launch.handmade import epoch, failed, finish, make, seed_folder, start, sweep
from tests.launch.test_cli_verbs import asked, said

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def two(tmp_path: Path) -> Submission:
    s = sweep(tmp_path, "seeds=2", "aug=mixup optim.lr=0.3", name="two")
    make(seed_folder(s, 0), 1, start(), epoch(1), failed("oom", "CUDA out of memory"))
    make(seed_folder(s, 0), 2, start(10), epoch(3))
    finish(seed_folder(s, 0), 2)
    return s


def test_two_runs_differ_in_these_keys(capsys: Capture, two: Submission) -> None:
    a, b = two.arms
    code, printed = asked(capsys, two, "explain", a[:6], b[:6])
    assert (code, printed["a"], printed["b"]) == (0, a, b)
    assert printed["differences"]["optim.lr"] == [0.1, 0.3]
    assert printed["differences"]["aug.mixup.alpha"] == [None, 1]
    assert "batch_size" not in printed["differences"]
    assert asked(capsys, two, "explain", a, a)[1]["differences"] == {}


def test_runs_are_found_by_the_names_that_status_shows(capsys: Capture, two: Submission) -> None:
    a, b = two.arms
    for name in ("mixup lr=0.3", "aug=mixup,optim.lr=0.3", two.arms[b].arm.name):
        assert asked(capsys, two, "explain", "baseline", name)[1]["b"] == b
    assert asked(capsys, two, "explain", "baseline", "--sweep", "two")[1]["id"] == a


def test_an_arm_has_one_name_in_every_view_whichever_part_is_shown(capsys: Capture, tmp_path: Path) -> None:
    """A later submission of the sweep has another budget, so that the names of all arms say it."""
    old = sweep(tmp_path, "aug=mixup epochs=5", "aug=cutout epochs=5", name="grown")
    new = sweep(tmp_path, "aug=mixup epochs=7", "aug=mixup epochs=7 optim.lr=0.3", name="grown")
    id_, name = next(iter(old.arms)), "mixup epochs=5"
    make(seed_folder(old, 0), 1, start(), failed("oom"))
    for line in (["status"], ["status", "--id", id_], ["logs", "--id", id_], ["logs", id_], ["logs", "--failed"]):
        assert name in said(capsys, new, *line)[1]
    written = io.StringIO()
    loaded = select(tmp_path, "grown", Filter(ids=(id_,)))
    part = narrow_submission(loaded.submissions[-1], loaded.trials)
    Console(file=written, width=100).print(draw_table(Progress(part, 1), 100, 20))
    assert f"{name} " in written.getvalue()
    for shown in (name, "mixup", "aug=mixup"):  # as it was among the arms of its own submission
        (found,) = {r for r in old.arms if r in said(capsys, new, "explain", shown)[1]}
        assert found == id_
    text = said(capsys, new, "explain", id_[:8])[1].splitlines()
    assert text[0].split("  ")[-1] == f"{name}, in sweep grown"


def test_one_run_is_told_with_its_history(capsys: Capture, two: Submission) -> None:
    (a, _) = two.arms
    code, printed = asked(capsys, two, "explain", a[:8])
    assert code == 0
    assert printed["sweeps"] == [{"name": "two", "submission": 1, "command": two.command}]
    assert printed["stale"] is None
    assert len(printed["code"]) == 1
    done, new = printed["trials"]
    assert (done["state"], new["state"]) == ("done", "new")
    assert [(x["end"], x["cause"]) for x in done["history"]] == [("failed", "oom"), ("no last word", "")]
    text = said(capsys, two, "explain", a[:8])[1]
    assert "no: its command gives this run today as well" in text
    assert "attempt 1, process" in text


def test_a_run_whose_defaults_have_changed_is_stale(capsys: Capture, two: Submission) -> None:
    """As if it had been made when the default of weight decay was another."""
    a, _ = two.arms
    old = two.out / ("0" * 15 + "1")
    old.mkdir()
    facts = json.loads((two.out / a / "arm.json").read_text()) | {"id": old.name}
    (old / "arm.json").write_text(json.dumps(facts))
    config = yaml.safe_load((two.out / a / "config.yaml").read_text())
    now, config["optim"]["weight_decay"] = config["optim"]["weight_decay"], 0.5
    (old / "config.yaml").write_text(yaml.safe_dump(config))
    _, printed = asked(capsys, two, "explain", old.name)
    assert printed["stale"] == {"id": a, "keys": {"optim.weight_decay": [0.5, now]}}
    assert "yes: its command gives" in said(capsys, two, "explain", old.name)[1]


def test_a_command_that_is_refused_today_is_told(capsys: Capture, two: Submission) -> None:
    a, _ = two.arms
    path = two.out / a / "arm.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "overrides": ["optim.momentun=0.5"]}))
    assert "optim.momentun" in asked(capsys, two, "explain", a)[1]["refused"]


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_folder_is_told(capsys: Capture, two: Submission, text: str) -> None:
    a, b = two.arms
    (two.out / a / "arm.json").write_text(text)
    (two.out / a / "config.yaml").write_text("" if text == "" else "{")
    code, printed = asked(capsys, two, "explain", a)
    assert code == 0
    assert printed["name"] == two.arms[a].arm.name  # the submission has it as well
    assert len(printed["trouble"]) == 2
    lost = two.out / ("0" * 16)
    lost.mkdir()
    (lost / "arm.json").write_text(text)
    code, printed = asked(capsys, two, "explain", "0" * 16)
    assert (code, printed["name"]) == (0, None)
    assert asked(capsys, two, "explain", "0" * 16, b)[0] == 1  # what it was cannot be told


def test_an_unknown_or_ambiguous_run_is_2(capsys: Capture, two: Submission) -> None:
    a, _ = two.arms
    code, text = said(capsys, two, "explain", "aug=mixpu,optim.lr=0.3")
    assert code == 2
    assert "did you mean aug=mixup,optim.lr=0.3" in text
    twin = two.out / f"{a[:8]}{'0' * 8}"
    twin.mkdir()
    code, text = said(capsys, two, "explain", a[:8])
    assert code == 2
    assert f"could be any of these 2; give more of the id:\n  {min(a, twin.name)}" in text
    assert twin.name in text
    assert main(["explain", "--out", str(two.out)]) == 2


def test_changes_in_words() -> None:
    changes = {"sched.eta": (1e-5, 1e-4), "aug.mixup.alpha": (None, 1)}
    assert describe_changes(changes) == "sched.eta was 1e-05, is 0.0001, aug.mixup.alpha was not there, is 1"
    corrected = {"epochs": (1, 2), "revised.aug.mixup": (1, 2), "revised.loss.kl": (2, 3), "revised.optim.sgd": (3, 2)}
    assert describe_changes(corrected) == (
        "epochs was 1, is 2, it was made before revision 2 of aug.mixup and revision 3 of loss.kl, "
        "it was made under revision 3 of optim.sgd, which is now 2; see CHANGELOG.md"
    )
    assert describe_changes({}) == "its id was made by earlier rules; see CHANGELOG.md"
    images = {"data.content": (None, "sha256:0"), "data.path": ("a", None)}
    assert describe_changes(images) == "its images were known by their path only, and are now known by their content"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_damaged_neighbour_does_not_keep_a_run_from_starting(two: Submission, text: str) -> None:
    a, b = two.arms
    (two.out / a / "arm.json").write_text(text)
    (note,) = earlier_arms.notes(two.arms[b])
    assert note.startswith(f"{two.out / a / 'arm.json'} is damaged")
    assert note.endswith("; it was passed over")
