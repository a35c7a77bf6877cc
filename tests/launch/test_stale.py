"""Which arms are stale: the command that one came from gives another arm now, and commands are told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ablation.store.identity import identify
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.naming import rules
from launch.plan import make_plan
from launch.sweep.submission import create, load
from tests.launch.handmade import make, start


def test_an_arm_is_stale_by_each_command_that_gave_it(tmp_path: Path) -> None:
    """`optim.momentum=0.9` says the default, so it is one arm with the row that says nothing."""
    rows = [f"out={tmp_path}"], [f"out={tmp_path}", "optim.momentum=0.9"]

    def changed(*asked: list[str]) -> Planned:
        """What these rows give after the default of the rate was changed."""
        (p,) = compose_arms(asked)
        config = {**p.config, "optim": {**p.config["optim"], "lr": 0.2}}
        return replace(p, arm=replace(p.arm, id=identify(config, rules())), config=config)

    with initialized():
        (one,) = compose_arms(rows[1:])
        create([one], {}, "x")
        make(tmp_path / one.arm.id / "seed-0", 1, start())
        for asked, stale in ((rows, True), (rows[:1], False)):
            report = make_plan([changed(*asked)], "x")
            assert (report.arms[0].state == "stale") == stale
        again = create(compose_arms(rows), {}, "x")
        assert [p.also for p in load(again.folder).arms.values()] == [p.also for p in again.arms.values()]
        assert make_plan([changed(rows[0])], "x").arms[0].state == "stale"  # the sweep asked for it by both
        noted = (tmp_path / one.arm.id / "sweeps" / "main.json").read_bytes()
        create(compose_arms(rows), {}, "x")
        assert (tmp_path / one.arm.id / "sweeps" / "main.json").read_bytes() == noted


def test_an_arm_of_another_search_path_is_not_stale_and_one_in_another_order_is_its_own(tmp_path: Path) -> None:
    def options(folder: str, lr: float) -> list[str]:
        (tmp_path / folder / "optim").mkdir(parents=True)
        (tmp_path / folder / "optim" / "outside.yaml").write_text(f"_target_: ablation.optim.sgd.sgd\nlr: {lr}\n")
        return [f"hydra.searchpath=[file://{tmp_path / folder}]"]

    def states(first: str, second: str, *paths: list[str]) -> list[str]:
        with initialized():
            (before,), (now,) = (
                compose_arms([[f"out={tmp_path}", *row.split()]], path)
                for row, path in zip((first, second), paths or ([], []), strict=True)
            )
            create([before], {}, "x")
            make(tmp_path / before.arm.id / "seed-0", 1, start())
            return [arm.state for arm in make_plan([now], "x").arms]

    assert states("optim=outside", "optim=outside", options("a", 0.1), options("b", 0.2)) == ["new"]
    assert states("optim={lr:0.5} optim.lr=0.3", "optim.lr=0.3 optim={lr:0.5}") == ["new"]
