"""A plan tells how every arm stands and what the rest costs, from real files, and leaves no trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import SMALL_MODEL, TINY

from ablation.errors import ConfigError
from ablation.store.identity import identify
from launch import plan
from launch.checks.cost import cost_signature
from launch.compose.arm import Planned
from launch.compose.paths import ROOT
from launch.plan import make_plan
from launch.sweep import earlier_arms
from tests.launch.handmade import elsewhere, epoch, failed, finish, make, start, sweep

ROWS = ("seeds=[0,1]", "aug=mixup seeds=[0,1]", "aug=cutout seeds=[0,1]", "aug=cutout aug.cutout.size=4")


@pytest.fixture
def planned(tmp_path: Path) -> list[Planned]:
    """Four arms, asked for once; the driver has left."""
    return list(sweep(tmp_path, *ROWS).arms.values())


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything below a folder, with its times: what changes is seen."""
    return {
        str(p): (p.stat().st_mtime_ns, p.stat().st_ctime_ns, p.stat().st_size) for p in [folder, *folder.rglob("*")]
    }


def epochs(*seconds: float) -> list[dict[str, Any]]:
    """The events of a training whose epochs took so long."""
    times = [100 + sum(seconds[:n]) for n in range(1, len(seconds) + 1)]
    return [start(), *(epoch(n + 1, time=t) for n, t in enumerate(times))]


def done(folder: Path, *seconds: float, **facts: Any) -> None:
    make(folder, 1, *epochs(*seconds))
    finish(folder, 1, **facts)


def test_it_tells_states_and_costs_and_leaves_no_trace(
    tmp_path: Path, planned: list[Planned], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, cwd = tmp_path, tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    seeds = [[out / p.arm.id / f"seed-{s}" for s in (0, 1)] for p in planned]
    done(seeds[0][0], 10, 30, 10)
    make(seeds[0][1], 1, start(), epoch(1), owner=elsewhere(), beat=5.0)  # its heartbeat is looked at
    make(seeds[1][0], 1, start(), failed("oom", "no memory left"))
    before = tree(tmp_path)
    report = make_plan(planned, "python launch/run.py -m hydra/launcher=plan aug=x hydra.launcher.json=true")
    assert plan.run(planned, {"json": False, "probe": False, "rows": 60}, "x") == 0
    assert plan.run(planned, {"json": True, "probe": False, "rows": 60}, "x") == 0
    assert tree(tmp_path) == before
    base, mixup, cutout, small = report.arms
    assert [arm.state for arm in report.arms] == ["running", "failed", "new", "new"]
    assert mixup.row.cause == "oom"
    assert (base.missing, mixup.missing, cutout.missing, small.missing) == ([], [0, 1], [0, 1], [0])
    assert base.cost is not None
    assert (base.cost.seconds, base.cost.device, base.cost.source) == (10, "cpu (1 threads)", "1 run")
    assert base.seconds == 20, "the second seed has two epochs to come"
    assert mixup.seconds is None, "no epoch of it has run"
    assert report.hours() == {"CPU": pytest.approx(20 / 3600)}
    assert report.command == "python launch/run.py -m aug=x"


def test_what_a_program_is_told(tmp_path: Path, planned: list[Planned], capsys: pytest.CaptureFixture[str]) -> None:
    done(tmp_path / planned[0].arm.id / "seed-0", 10, 10, 10)
    plan.run(planned[:2], {"json": True, "probe": False, "rows": 60}, "python launch/run.py -m hydra/launcher=plan")
    told = json.loads(capsys.readouterr().out)
    assert [arm["id"] for arm in told["arms"]] == [p.arm.id for p in planned[:2]]
    assert told["arms"][0]["seeds"]["0"]["kind"] == "done"
    assert told["arms"][0]["missing"] == [1]
    assert told["arms"][0]["command"] == planned[0].arm.command
    assert told["totals"]["trials"] == {"new": 3, "done": 1}
    assert told["totals"]["unknown"] == 1
    assert {arm["id"] for arm in told["gone"]} == {p.arm.id for p in planned[2:]}
    assert told["command"] == "python launch/run.py -m"


def test_the_table_is_read_by_people(
    tmp_path: Path, planned: list[Planned], capsys: pytest.CaptureFixture[str]
) -> None:
    done(tmp_path / planned[2].arm.id / "seed-0", 7200, 7200, 7200)
    make(tmp_path / planned[1].arm.id / "seed-0", 1, start(), failed("diverged"))
    plan.run(
        planned[1:],
        {"json": False, "probe": False, "rows": 2},
        "python launch/run.py -m hydra/launcher=plan aug=mixup,cutout",
    )
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert lines[0].startswith(f"sweep main in {tmp_path}, all with ")
    assert lines[1].split() == ["id", "arm", "state", "seeds", "missing", "to", "come"]
    assert lines[2].split() == [planned[1].arm.id[:6], "mixup", "1", "failed:", "diverged", "0/2", "0,1", "unknown"]
    assert "1 new" in lines[3]
    assert "and 1 more arm: 1 new (hydra.launcher.rows=0 lists all)" in said
    assert "3 arms, 5 trials: 1 done, 1 failed, 3 new" in said
    assert "to come: training of 12 h on CPU, if it is one trial after another (from 1 run on cpu (1 threads))" in said
    assert f"is not in this grid, and kept (1 new): {planned[0].arm.id[:8]}" in said
    assert lines[-1] == "run it: python launch/run.py -m aug=mixup,cutout"


def test_a_machine_is_named_once(tmp_path: Path, planned: list[Planned], capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        done(tmp_path / planned[0].arm.id / f"seed-{seed}", 10, 10, 10)
    done(tmp_path / planned[1].arm.id / "seed-0", 10, 10, 10)
    more = [replace(p, config={**p.config, "seeds": [0, 1, 2]}) for p in planned[:2]]
    plan.run(more, {"json": False, "probe": False, "rows": 60}, "x")
    assert "(from 1 run, 2 runs on cpu (1 threads))" in capsys.readouterr().out


def test_an_arm_whose_defaults_have_changed_is_stale_and_says_which(tmp_path: Path, planned: list[Planned]) -> None:
    before = planned[1]
    done(tmp_path / before.arm.id / "seed-0", 10)
    config = {**before.config, "optim": {**before.config["optim"], "weight_decay": 0.25}}
    now = replace(before, arm=replace(before.arm, id=identify(config)), config=config)
    (arm,) = make_plan([now], "x").arms
    assert arm.state == "stale"
    assert arm.stale is not None
    assert str(arm.stale) == "optim.weight_decay was 0.0005, is 0.25"
    assert arm.stale.folder == tmp_path / before.arm.id
    assert arm.cost is not None, "what it cost with another decay tells what it will"
    make(tmp_path / now.arm.id / "seed-0", 1, start(), failed("oom"))
    assert make_plan([now], "x").arms[0].state == "failed", "of its own runs there is more to tell"


def test_damaged_neighbours_are_passed_over(tmp_path: Path, planned: list[Planned]) -> None:
    done(tmp_path / planned[0].arm.id / "seed-0", 10, 10, 10)
    for n, text in enumerate(("", "[]", "null", "{", '{"name": 3}')):
        (tmp_path / f"broken-{n}").mkdir()
        (tmp_path / f"broken-{n}" / "arm.json").write_text(text)
    for n, text in enumerate(("", "[1]", "a: {", None)):
        folder = tmp_path / f"half-{n}"
        folder.mkdir()
        (folder / "arm.json").write_bytes((tmp_path / planned[0].arm.id / "arm.json").read_bytes())
        if text is not None:
            (folder / "config.yaml").write_text(text)
    folder = tmp_path / planned[0].arm.id / "seed-7"
    folder.mkdir()
    (folder / "result.json").write_text("[")
    (arm,) = make_plan(planned[:1], "x").arms
    assert arm.cost is not None
    assert arm.cost.source == "1 run"
    (tmp_path / planned[0].arm.id).rename(tmp_path / "elsewhere")
    assert make_plan(planned[:1], "x").arms[0].stale is not None, "of what is whole"


def test_two_arms_of_one_grid_are_not_stale_for_each_other(tmp_path: Path, planned: list[Planned]) -> None:
    twin = replace(planned[1], arm=replace(planned[1].arm, id="0123456789abcdef"))
    assert [arm.state for arm in make_plan([planned[1], twin], "x").arms] == ["new", "new"]


@pytest.mark.parametrize(
    ("overrides", "same"),
    [
        ("epochs=7", True), ("sched=cosine", True), ("optim.lr=0.7", True), ("aug.mixup.alpha=0.1", True),
        ("seeds=9", True), ("device=auto", True), ("data.split_seed=4", True),
        ("model.depth=14", False), ("batch_size=4", False), ("aug=[mixup,cutout]", False), ("regularizer=sam", False),
        ("data.subset=12", False), ("precision=bf16", False), ("fuse=true", False), ("aug.mixup.per=sample", False),
    ],
)  # fmt: skip
def test_the_shape_is_what_an_epoch_costs(tmp_path: Path, overrides: str, same: bool) -> None:
    (one,) = sweep(tmp_path, "aug=mixup").arms.values()
    (other,) = sweep(tmp_path, f"aug=mixup {overrides}").arms.values()
    assert (cost_signature(one.config) == cost_signature(other.config)) is same


def test_costs_come_of_the_newest_runs_on_the_same_kind_of_device(tmp_path: Path, planned: list[Planned]) -> None:
    folder = tmp_path / planned[2].arm.id
    done(folder / "seed-0", 10, 10, 10)
    done(folder / "seed-1", 40, 40, 40, fused=2)
    (arm,) = make_plan([planned[3]], "x").arms
    assert arm.cost is not None, "another size of the holes costs the same"
    assert (arm.cost.seconds, arm.cost.source, arm.cost.kind) == (15, "2 runs", "CPU")
    gpu = replace(planned[3], config={**planned[3].config, "device": "cuda"})
    assert make_plan([gpu], "x").arms[0].cost is None


def test_a_probe_times_real_steps_and_leaves_no_trace(tmp_path: Path, planned: list[Planned]) -> None:
    before = tree(tmp_path)
    broken = replace(planned[2], config={**planned[2].config, "data": {**planned[2].config["data"], "subset": 4}})
    report = make_plan([planned[1], broken, planned[0]], "x", timed=True)
    assert tree(tmp_path) == before
    first, second, third = report.arms
    assert first.cost is not None
    assert (first.cost.source, first.cost.kind) == ("probe", "CPU")
    assert 0 < first.cost.seconds < 60
    assert third.cost is not None
    assert second.cost is None
    assert any("could not be timed: batch_size=8: there are only 4" in note for note in report.notes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"jsn": True}, r"hydra\.launcher\.jsn: no such option of plan; did you mean json"),
        ({"rows": -1}, r"hydra\.launcher\.rows=-1"),
        ({"probe": 3}, r"hydra\.launcher\.probe=3: give true or false"),
    ],
)
def test_bad_options_are_refused(planned: list[Planned], options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan.run(planned, options, "x")


def test_arms_that_were_submitted_since_but_have_not_run_do_not_hide_what_it_costs(
    tmp_path: Path, planned: list[Planned]
) -> None:
    done(tmp_path / planned[2].arm.id / "seed-0", 10, 10, 10)
    arms = sweep(tmp_path, *(f"aug=cutout aug.cutout.size={size}" for size in range(5, 27))).arms
    report = make_plan(list(arms.values()), "x")
    assert {arm.cost.seconds if arm.cost else None for arm in report.arms if not arm.row.done} == {10}


def test_an_earlier_arm_that_never_ran_makes_nothing_stale(tmp_path: Path, planned: list[Planned]) -> None:
    before = planned[1]
    config = {**before.config, "optim": {**before.config["optim"], "weight_decay": 0.25}}
    now = replace(before, arm=replace(before.arm, id=identify(config)), config=config)
    assert make_plan([now], "x").arms[0].state == "new"
    assert earlier_arms.notes(now) == []
    make(tmp_path / before.arm.id / "seed-0", 1, start())
    assert make_plan([now], "x").arms[0].state == "stale"
    assert "stale" in earlier_arms.notes(now)[0]


def test_an_arm_is_stale_by_its_command_whatever_it_was_called(tmp_path: Path, planned: list[Planned]) -> None:
    before = planned[1]
    done(tmp_path / before.arm.id / "seed-0", 10)
    config = {**before.config, "optim": {**before.config["optim"], "weight_decay": 0.25}}
    arm = replace(before.arm, id=identify(config), name="by other rules")
    for overrides, stale in ((before.arm.overrides, True), ([*before.arm.overrides, "epochs=7"], False)):
        now = replace(before, arm=replace(arm, overrides=overrides), config=config)
        assert (make_plan([now], "x").arms[0].stale is not None) == stale


def test_a_damaged_submission_is_noted(tmp_path: Path, planned: list[Planned]) -> None:
    (tmp_path / ".sweeps" / "main" / "1" / "arms.jsonl").write_text('{"arm": ')
    report = make_plan(planned, "x")
    assert [arm.state for arm in report.arms] == ["new"] * 4
    assert "not a whole submission" in report.notes[0]


def test_what_a_trick_prints_does_not_disturb_a_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chatty.py").write_text(
        "print('imported')\ndef chat():\n    def aug(batch, key):\n        print('a step')\n        return batch\n"
        "    return aug\n"
    )
    line = ["hydra/launcher=plan", "--json", "hydra.launcher.probe=true", "+aug.chat={_target_: chatty.chat}"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch" / "run.py"), *TINY, *SMALL_MODEL, f"out={tmp_path / 'runs'}", *line],
        capture_output=True, text=True, timeout=120, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totals"]["arms"] == 1
    assert "imported" in done.stderr
    assert "a step" in done.stderr
