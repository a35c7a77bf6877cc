"""What is frozen when a sweep is submitted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny import SMALL_MODEL, TINY, config

from ablation.errors import AblationError
from ablation.store.identity import canonical
from launch.compose import arm, teachers
from launch.compose.arm import Arm, Planned, Work
from launch.compose.paths import ROOT
from launch.sweep import snapshot, submission
from launch.sweep.provenance import SOURCE
from launch.workers.process import Slot, WorkerProcess

CHOICES = {g: "x" for g in ("data", "model", "loss", "optim", "sched")}


def planned(out: Path, *overrides: str, teacher: str | None = None) -> Planned:
    settled = config(*TINY, *SMALL_MODEL, *overrides, f"out={out}")
    return Planned(arm.make_arm(settled, canonical(config()), CHOICES, overrides, "run"), settled, teacher=teacher)


def test_what_is_loaded_is_what_was_created(tmp_path: Path) -> None:
    arms = [planned(tmp_path, "seeds=2"), planned(tmp_path, "optim.lr=0.3", "seeds=[5]")]
    made = submission.create(arms, {"kind": "local", "workers": 2}, "the command")
    assert submission.load(made.folder) == made
    assert submission.submissions(tmp_path) == [made.folder]
    assert submission.submissions(tmp_path, "main") == [made.folder]
    assert submission.submissions(tmp_path, "other") == []


@pytest.mark.parametrize("left", [0, 1])
def test_arms_that_were_cut_off_are_missed(tmp_path: Path, left: int) -> None:
    made = submission.create([planned(tmp_path), planned(tmp_path, "optim.lr=0.3")], {}, "x")
    path = made.folder / "arms.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:left]))
    with pytest.raises(AblationError, match=f"not a whole submission .*has {left} of 2 arms"):
        submission.load(made.folder)


def test_nothing_is_trained_with_other_code_than_was_frozen(tmp_path: Path) -> None:
    made = submission.create([planned(tmp_path)], {}, "x")
    shutil.rmtree(made.code)
    with pytest.raises(AblationError, match="the code that this sweep was submitted with is gone"):
        WorkerProcess(made, Slot("cpu-0"), 1.0)


def test_every_submission_of_a_name_has_its_number(tmp_path: Path) -> None:
    one = [planned(tmp_path)]
    assert [submission.create(one, {}, "x").number for _ in range(11)] == list(range(1, 12))
    assert [int(f.name) for f in submission.submissions(tmp_path)] == list(range(1, 12))


def test_a_clock_that_was_set_back_changes_no_order(tmp_path: Path) -> None:
    made = [planned(tmp_path, f"sweep={name}") for name in ("a", "b", "a")]
    first, second, third = (submission.create([p], {}, "the command").folder for p in made)
    for folder, hours in ((first, 5), (second, 1), (third, 2)):
        os.utime(folder / "submission.json", (3600 * hours,) * 2)
    assert submission.submissions(tmp_path, "a") == [first, third]
    assert submission.submissions(tmp_path) == [second, first, third]


def test_the_first_seeds_of_all_arms_come_first(tmp_path: Path) -> None:
    a, b = planned(tmp_path, "seeds=3"), planned(tmp_path, "optim.lr=0.3", "seeds=[7,8]")
    assert [(w.id == a.arm.id, w.seeds) for w in teachers.order([a, b])] == [
        (True, (0,)), (False, (7,)), (True, (1,)), (False, (8,)), (True, (2,)),
    ]  # fmt: skip


def test_fused_seeds_are_one_work_and_teachers_come_first(tmp_path: Path) -> None:
    student = planned(tmp_path, "seeds=2", "optim.lr=0.3", teacher="t" * 16)
    fused = planned(tmp_path, "seeds=2", "fuse=true")
    assert fused.works == [Work(fused.arm.id, (0, 1))]
    below = planned(tmp_path, "optim.lr=0.7", "seeds=2", teacher=fused.arm.id)
    assert [w.id for w in teachers.order([below, student, fused])] == [
        student.arm.id, fused.arm.id, student.arm.id, below.arm.id, below.arm.id,
    ]  # fmt: skip


def test_what_was_cancelled_is_asked_for_again(tmp_path: Path) -> None:
    one = planned(tmp_path)
    marker = tmp_path / one.arm.id / "seed-0" / "cancel"
    marker.parent.mkdir(parents=True)
    marker.touch()
    submission.create([one], {}, "x")
    assert not marker.exists()


def test_the_folders_of_arms_say_what_they_are_before_anything_runs(tmp_path: Path) -> None:
    arms = [planned(tmp_path, f"optim.lr=0.{n:02d}") for n in range(1, 40)]
    submission.create(arms, {}, "x")
    for p in arms:
        folder = tmp_path / p.arm.id
        assert Arm(**json.loads((folder / "arm.json").read_bytes())) == p.arm
        assert yaml.safe_load((folder / "config.yaml").read_bytes()) == p.config


def test_a_folder_with_a_configuration_is_whole_and_is_not_written_again(tmp_path: Path) -> None:
    one = planned(tmp_path)
    submission.create([one], {}, "x")
    folder = tmp_path / one.arm.id
    arm_json, config_yaml = folder / "arm.json", folder / "config.yaml"
    assert arm_json.stat().st_mtime_ns <= config_yaml.stat().st_mtime_ns
    arm_json.write_text("kept")
    config_yaml.unlink()
    submission.create([one], {}, "x")
    assert arm_json.read_text() == "kept"
    assert config_yaml.exists()


@pytest.mark.parametrize("damage", ["", "{", "[]"])
def test_a_damaged_submission_is_refused(tmp_path: Path, damage: str) -> None:
    made = submission.create([planned(tmp_path)], {}, "x")
    (made.folder / "submission.json").write_text(damage)
    with pytest.raises(AblationError, match="not a whole submission"):
        submission.load(made.folder)


def test_the_same_code_is_stored_once_and_has_its_source(tmp_path: Path) -> None:
    first, again = (snapshot.freeze(tmp_path, []) for _ in range(2))
    assert first == again
    assert [p.name for p in tmp_path.iterdir()] == [first.name]
    assert (first / "ablation" / "train.py").read_bytes() == (ROOT / "ablation" / "train.py").read_bytes()
    assert (first / "conf" / "aug" / "cutout.yaml").exists()
    assert {"commit", "diff", "untracked"} == set(json.loads((first / SOURCE).read_text()))


def test_a_user_s_own_module_is_frozen_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    (own / "tricks_to_freeze").mkdir(parents=True)
    (own / "tricks_to_freeze" / "__init__.py").write_text("")
    (own / "tricks_to_freeze" / "blot.py").write_text("NAME = 'blot'\n")
    (own / "single_trick.py").write_text("NAME = 'single'\n")
    monkeypatch.syspath_prepend(str(own))
    named = {"aug": {"a": {"_target_": "tricks_to_freeze.blot.blot"}, "b": {"_target_": "single_trick.f"}}}
    named["aug"]["c"] = {"_target_": "torch.nn.Identity"}
    code = snapshot.freeze(tmp_path / "store", [named])
    assert (code / "tricks_to_freeze" / "blot.py").exists()
    assert (code / "single_trick.py").exists()
    assert not (code / "torch").exists()


@pytest.mark.parametrize("damage", ["edited", "added", "deleted"])
def test_a_copy_that_somebody_has_changed_is_not_taken_for_the_code(tmp_path: Path, damage: str) -> None:
    first = snapshot.freeze(tmp_path, [])
    victim = first / "ablation" / "train.py"
    (first / "ablation" / "__pycache__").mkdir()
    (first / "ablation" / "__pycache__" / "train.cpython-311.pyc").touch()
    assert snapshot.freeze(tmp_path, []) == first, "byte code is not code"
    if damage == "deleted":
        victim.unlink()
    else:
        (victim if damage == "edited" else first / "random.py").write_text("X = 1\n")
    second = snapshot.freeze(tmp_path, [])
    assert second != first
    assert (second / "ablation" / "train.py").read_bytes() == (ROOT / "ablation" / "train.py").read_bytes()
    assert snapshot.freeze(tmp_path, []) == second
    assert len(list(tmp_path.iterdir())) == 2


def test_packages_are_copied_whole_without_tests_and_what_is_no_file(tmp_path: Path) -> None:
    package = tmp_path / "own" / "tricks_whole"
    for name in (
        "__init__.py",
        "a.py",
        "b.so",
        "data/t.json",
        "tests/test_a.py",
        "__pycache__/a.pyc",
        ".git/x",
        ".x.swp",
    ):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).touch()
    (package / ".#a.py").symlink_to("me@host.1:2")
    (package / "lost.py").symlink_to("nowhere")
    script = (
        "import tricks_whole, sys; from pathlib import Path; from launch.sweep import snapshot;"
        "print(snapshot.freeze(Path(sys.argv[1]), []))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(package.parent)])}
    line = [sys.executable, "-P", "-c", script, str(tmp_path / "store")]
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=True)
    copy = Path(done.stdout.strip()) / "tricks_whole"
    assert {str(p.relative_to(copy)) for p in copy.rglob("*") if p.is_file()} == {
        "__init__.py", "a.py", "b.so", "data/t.json",
    }  # fmt: skip
    assert {p.name for p in copy.parent.iterdir()} == {"ablation", "launch", "results", "conf", "tricks_whole", SOURCE}


def test_a_job_imports_the_copy_even_with_the_project_installed(tmp_path: Path) -> None:
    code = snapshot.freeze(tmp_path, [])
    frozen = code / "ablation" / "errors.py"
    frozen.write_text(frozen.read_text() + "\nFROZEN = True\n")
    line = [
        sys.executable,
        "-P",
        "-c",
        "import ablation.errors as e, launch.sweep.provenance as p; print(e.FROZEN, p.ROOT)",
    ]
    done = subprocess.run(
        line, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(code)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", str(code)]
