"""Code that was edited after a run is said, and the run can be trained again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Event

import pytest
from hydra import compose
from omegaconf import OmegaConf
from tiny import SMALL_MODEL, TINY

from ablation.source import reader
from ablation.store import attempt, code
from ablation.store.attempt import Owner
from launch import plan
from launch.cli import main
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.one_arm import run_arm
from launch.plan import make_plan
from launch.sweep import edited_code
from launch.sweep.submission import Submission
from launch.workers import local
from tests.launch.handmade import epoch, finish, make, seed_folder, start, sweep
from tests.launch.test_cli_verbs import asked, said

Capture = pytest.CaptureFixture[str]
Own = tuple[Path, Callable[..., Planned]]
NUMBERS = count()
TRICK = "def shade(by={}):\n    return lambda batch, key: batch._replace(x=batch.x * by)\n"


@pytest.fixture
def two(tmp_path: Path) -> Submission:
    """Two finished arms; since then, the first one's trick was edited."""
    made = sweep(tmp_path, "aug=cutout seeds=2", "aug=mixup", name="two")
    for number, (id_, p) in enumerate(made.arms.items()):
        for seed in p.seeds:
            make(made.out / id_ / f"seed-{seed}", 1, start(), epoch(3))
            finish(made.out / id_ / f"seed-{seed}")
            modules = reader.Reader().of(p.config)
            if number == 0 and seed == 1:
                modules["ablation.aug.cutout"] = "0" * 16
            code.keep(attempt.folder(made.out / id_ / f"seed-{seed}", 1), 0, modules)
    return made


def test_a_plan_says_which_arms_ran_with_other_code(two: Submission, capsys: Capture) -> None:
    cutout, mixup = make_plan(list(two.arms.values()), "x").arms
    assert (cutout.state, cutout.edited, mixup.edited) == ("done", ("aug/cutout.py",), ())
    plan.run(list(two.arms.values()), {"json": False, "probe": False, "rows": 0}, "python launch/run.py -m x")
    printed = capsys.readouterr().out
    assert "done; code differs since: aug/cutout.py" in printed
    assert "1 of the arms ran with other code than today's" in printed
    assert f"ablation redo {next(iter(two.arms))[:8]} --out" in printed


def test_explain_says_it_and_how_to_train_again(two: Submission, capsys: Capture) -> None:
    cutout, mixup = two.arms
    assert asked(capsys, two, "explain", cutout)[1]["edited"] == ["aug/cutout.py"]
    printed = said(capsys, two, "explain", cutout)[1]
    assert "no: its command gives this run today as well, but the code differs since: aug/cutout.py" in printed
    assert f"ablation redo {cutout}" in printed
    assert asked(capsys, two, "explain", mixup)[1]["edited"] == []
    assert "code differs" not in said(capsys, two, "explain", mixup)[1]


def test_a_run_from_before_code_was_kept_is_current(two: Submission, capsys: Capture) -> None:
    cutout, _ = two.arms
    for file in two.out.glob(f"*/seed-*/attempt-1/{code.CODE}"):
        file.unlink()
    assert asked(capsys, two, "explain", cutout)[1]["edited"] == []


def test_redo_sets_aside_what_was_edited_and_deletes_nothing(two: Submission, capsys: Capture) -> None:
    cutout, _ = two.arms
    status, printed = asked(capsys, two, "redo", "--edited")
    assert status == 0
    assert sorted(printed["aside"]) == [f"{cutout}/seed-0", f"{cutout}/seed-1"]
    assert printed["commands"] == [two.arms[cutout].arm.command]
    assert all((Path(there) / "result.json").exists() for there in printed["aside"].values())
    assert [arm.state for arm in make_plan(list(two.arms.values()), "x").arms] == ["new", "done"]
    assert asked(capsys, two, "redo", "--edited")[1]["aside"] == {}
    assert "nothing to set aside" in said(capsys, two, "redo", "--edited")[1]
    make(seed_folder(two, 0), 1, start())
    text = said(capsys, two, "redo", f"{cutout[:8]}/0")[1]
    assert f"set aside {cutout}/seed-0: {two.out / '.aside' / cutout / 'seed-0-2'}" in text
    assert asked(capsys, two, "status")[1]["totals"] == {"done": 1, "new": 2}


def test_redo_takes_nothing_that_runs_and_wants_to_be_told(two: Submission, capsys: Capture) -> None:
    make(seed_folder(two, 1), 2, start(), owner=Owner.here(), beat=0)
    status, text = said(capsys, two, "redo", list(two.arms)[1])
    assert (status, "is being trained by process" in text) == (1, True)
    assert main(["redo", "--out", str(two.out)]) == 2


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Own:
    """The file of a trick of one's own, and what composes the arm that uses it, with more overrides."""
    (tmp_path / "own").mkdir()
    file = tmp_path / "own" / f"shade_{next(NUMBERS)}.py"  # another each time: Python keeps what it has found
    file.write_text(TRICK.format(0.5))
    monkeypatch.syspath_prepend(str(file.parent))

    def planned(*row: str) -> Planned:
        trick = f"+aug.shade={{_target_: {file.stem}.shade}}"
        with initialized():
            return compose_arms([[*TINY, *SMALL_MODEL, "epochs=1", trick, f"out={tmp_path / 'out'}", *row]])[0]

    return file, planned


def test_a_trick_of_one_s_own_edited_after_its_run(own: Own, tmp_path: Path, capsys: Capture) -> None:
    """From the first training to the second, with a real trick; a comment is no edit."""
    file, planned = own
    run_arm(planned(), Event())
    file.write_text("# a comment\n" + TRICK.format(0.5))
    assert make_plan([planned()], "x").arms[0].edited == ()
    file.write_text(TRICK.format(0.75))
    edited = make_plan([planned()], "x").arms[0]
    assert (edited.state, edited.edited) == ("done", (file.name,))
    assert main(["redo", "--edited", "--out", str(tmp_path / "out")]) == 0
    assert "run it again: python launch/run.py" in capsys.readouterr().out
    assert make_plan([planned()], "x").arms[0].state == "new"


def test_a_repeated_command_says_that_the_code_differs_and_a_new_seed_that_the_mean_is_of_both(
    own: Own, tmp_path: Path, capsys: Capture
) -> None:
    file, planned = own

    def run(*row: str) -> str:
        here.cache_clear()  # as a new process
        run_arm(planned(*row), Event())
        return " ".join(capsys.readouterr().out.replace("│", "").split())

    here = reader.here
    assert "code differs" not in run()
    assert "code differs" not in run()
    file.write_text(TRICK.format(0.75))
    said_ = run()
    assert "nothing was run" in said_
    assert said_.count(f"done before with seed 0, but the code differs since: {file.name}; `ablation redo") == 2, said_
    said_ = run("seeds=2")
    assert f"code differs since: {file.name}, and the mean with the new seeds would be of both" in said_
    (id_,) = (p.parent.name for p in (tmp_path / "out").glob("*/arm.json"))
    assert len(edited_code.mixed_seeds({id_: sorted((tmp_path / "out" / id_).glob("seed-*"))}, tmp_path)) == 1


def test_a_sweep_says_it_when_it_is_asked_for_and_at_its_end(two: Submission, capsys: Capture) -> None:
    with initialized():
        config = compose("config", ["hydra/launcher=local"], return_hydra_config=True)
        options = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    local.run(list(two.arms.values()), options, "x")
    told = "done before with seed 1, but the code differs since: aug/cutout.py; `ablation redo"
    printed = " ".join(capsys.readouterr().out.split())
    assert "nothing was run" in printed
    assert printed.count(told) == 2


def test_status_says_that_seeds_ran_different_code(two: Submission, capsys: Capture) -> None:
    cutout = next(iter(two.arms))
    (note,) = asked(capsys, two, "status")[1]["notes"]
    assert note.startswith(f"{cutout[:8]}: its seeds ran different code, which differs in aug/cutout.py; their mean is")
    assert f"redo {cutout[:8]}" in " ".join(said(capsys, two, "status")[1].split())


@pytest.fixture
def taught(tmp_path: Path) -> Submission:
    """A teacher with cutout, its student and the student's student without, all done with today's code."""
    row = "loss=distill rounds=2 teacher='aug=cutout' seeds=2"
    made = sweep(tmp_path, row, name="taught")
    digests = reader.Reader()
    for id_, p in made.arms.items():
        for seed in p.seeds:
            folder = made.out / id_ / f"seed-{seed}"
            make(folder, 1, start(), epoch(3))
            finish(folder)
            of_teachers = code.teaches(made.out, p.teacher, seed)
            code.keep(attempt.folder(folder, 1), 0, digests.of(p.config), of_teachers)
    return made


def as_if_by_other_code(out: Path, arm: str) -> None:
    for file in (out / arm).glob(f"seed-*/attempt-1/{code.CODE}"):
        kept = json.loads(file.read_text())
        kept["modules"]["ablation.aug.cutout"] = "0" * 16
        file.write_text(json.dumps(kept))


def test_a_teacher_s_code_is_its_students_too(taught: Submission, capsys: Capture) -> None:
    """Whether the teacher was trained anew since or not: a student learned from what the weights were then."""
    teacher, first, _ = taught.arms
    arms = list(taught.arms.values())
    assert [arm.edited for arm in make_plan(arms, "x").arms] == [(), (), ()]
    file = next((taught.out / first).glob(f"seed-0/attempt-1/{code.CODE}"))
    kept = json.loads(file.read_text())
    kept["teachers"][teacher][0]["ablation.aug.cutout"] = "0" * 16  # the teacher has been trained anew since
    file.write_text(json.dumps(kept))
    told = f"in its teacher {teacher[:8]}: aug/cutout.py"
    assert [arm.edited for arm in make_plan(arms, "x").arms] == [(), (told,), ()]
    assert asked(capsys, taught, "explain", first)[1]["edited"] == [told]
    (note,) = asked(capsys, taught, "status")[1]["notes"]
    assert f"differs in its teacher {teacher[:8]}: aug/cutout.py" in note


def test_redo_takes_students_with_their_teachers(taught: Submission, capsys: Capture) -> None:
    teacher, first, second = taught.arms
    printed = asked(capsys, taught, "redo", f"{teacher}/1")[1]
    assert sorted(printed["aside"]) == sorted(f"{id_}/seed-1" for id_ in (teacher, first, second))
    assert printed["students"] == sorted([first, second])
    as_if_by_other_code(taught.out, teacher)
    printed = asked(capsys, taught, "redo", "--edited")[1]
    assert sorted(printed["aside"]) == sorted(f"{id_}/seed-0" for id_ in (teacher, first, second))


def test_the_command_of_redo_trains_every_seed_that_it_set_aside(tmp_path: Path, capsys: Capture) -> None:
    sweep(tmp_path, "aug=cutout seeds=2", name="more")
    made = sweep(tmp_path, "aug=cutout seeds=3", name="more")
    (id_,) = made.arms
    for seed in range(3):
        finish(made.out / id_ / f"seed-{seed}")
    (line,) = asked(capsys, made, "redo", id_)[1]["commands"]
    with initialized():
        (again,) = compose_arms([shlex.split(line)[2:]])
    assert (again.arm.id, again.seeds) == (id_, (0, 1, 2))
