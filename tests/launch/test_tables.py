"""Tables as definitions: labels, baselines, axes, budgets, mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from tiny import CONF
from yaml import YAMLError

from ablation.errors import ConfigError
from launch.cli import main
from launch.compose.arms import compose_arms
from launch.compose.grid import Grid, GridRow
from launch.compose.hydra_version import initialized
from launch.tables.coverage import coverage, lacking
from launch.tables.definition import composable, define, define_rows, table_names
from launch.tables.file import flags, read_table
from launch.tables.labels import labels
from launch.tables.report import ReportOptions, with_options
from launch.tables.request import _values, parse_request
from results.tables.definition import Line


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with initialized():
        yield


def lines(*arguments: str) -> dict[str, Line]:
    return {line.label: line for line in define(arguments).lines}


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (
            ["table=lab/postact_mixup", "epochs=10", "sched.warmup=0.5", "data.subset=0.2", "seeds=4"],
            ["9fc5f031", "3d038b95", "d97339ed", "11543b91", "1f8c9fea"],
        ),
        (
            ["table=tricks/3_5", "model=resnet20", "epochs=10", "data.subset=0.2"],
            ["f6c29e55", "05b45cb4", "aab31874", "df17f944"],
        ),
    ],
)
def test_the_evidence_keeps_its_ids(arguments: list[str], ids: list[str]) -> None:
    made = define(arguments)
    assert [(line.id or "")[:8] for line in made.lines] == ids
    assert list(made.changed) == [text for text in arguments[1:] if not text.startswith("seeds")]
    assert made.command.startswith("python launch/run.py -m table=")


def test_a_line_is_what_its_command_runs() -> None:
    made = define(["table=lab/postact_mixup", "epochs=20", "seeds=3", "hydra/launcher=plan"])
    (planned,) = compose_arms([made.lines[2].command.split()[2:]])
    line = made.lines[2]
    assert (line.id, line.seeds, line.label) == (planned.arm.id, (0, 1, 2), "mixup 0.3")
    assert line.config["epochs"] == 20
    assert line.reported == {"test_acc": (93.06,)}
    assert [other.against for other in made.lines] == [None, *["no mixup"] * 4]
    assert made.lines[4].flags == ("control",)
    assert f"control: {flags()['control']}" in made.notes
    assert "launcher" not in made.command


@pytest.mark.parametrize(
    ("table", "label", "settings"),
    [
        ("tricks/3_6", "SAM", {"sam.rho": 0.5, "sam.adaptive": False, "sam.stats": "both"}),
        (
            "tricks/3_6",
            "ASAM",
            {"sam.rho": 0.5, "sam.adaptive": True, "sam.eta": 0, "sam.scope": "gains", "sam.stats": "both"},
        ),
        (
            "tricks/3_8",
            "PyramidNet-272, as it ran",
            {"sched.over": "all", "sched.warmup": 20, "shake_drop.gate": "batch"},
        ),
        ("tricks/3_9", "AutoAugment", {"auto_augment.fill": "grey"}),
        ("tricks/3_9", "cutout + AutoAugment", {"auto_augment.fill": "grey", "cutout.size": 16}),
        ("tricks/3_9", "mixup + AutoAugment", {"auto_augment.fill": "grey", "mixup.alpha": 1}),
        ("tricks/3_9", "random erasing", {"random_erasing.fill": "black"}),
        ("tricks/3_3", "Xception", {"model.stride": 8}),
    ],
)
def test_rows_ask_for_what_the_sources_code_did_where_it_is_not_the_default(
    table: str, label: str, settings: dict[str, Any]
) -> None:
    config = {
        key.removeprefix("aug.").removeprefix("regularizer."): v
        for key, v in lines(f"table={table}")[label].config.items()
    }
    assert {key: config.get(key) for key in settings} == settings


def test_a_table_may_name_the_number_whose_ranking_ours_is_held_against() -> None:
    assert define(["table=tricks/3_3", "epochs=1"]).rank == "best_test_acc"
    assert define(["table=tricks/3_3", "epochs=1", "hydra.sweeper.rank=null"]).rank == ""
    assert define(["table=tricks/3_3", "epochs=1", "hydra.sweeper.rank=loss"]).rank == "loss"
    with pytest.raises(ConfigError, match=r"conf/table/start\.yaml: rank=err: no row reports it; give null"):
        define(["table=start", "hydra.sweeper.rank=err"])


def test_what_is_typed_wins_over_a_row_and_makes_it_composable() -> None:
    lacking = lines("table=tricks/3_5", "model=nothing")
    assert [line.lacks for line in lacking.values()] == ["model=nothing: no such option"] * 4
    assert [line.name for line in lacking.values()] == [
        "baseline",
        "aug=cutout",
        "aug=mixup",
        "aug=[cutout,mixup]",
    ]
    typed = lines("table=tricks/3_5", "model=resnet20", "aug=[]")
    assert len({line.id for line in typed.values()}) == 1
    assert all(line.id and not line.lacks and line.config["model.depth"] == 20 for line in typed.values())


def test_axes_beside_a_table_multiply_its_rows_and_compare_at_their_place() -> None:
    made = lines("table=lab/postact_mixup", "optim.lr=0.1,0.2", "epochs=20,30", "seeds=[0],[3]")
    places = [f"optim.lr={lr}, epochs={epochs}" for lr in ("0.1", "0.2") for epochs in (20, 30)]
    assert list(made)[:4] == [f"no mixup, {place}" for place in places]
    assert len(made) == len({line.id for line in made.values()}) == 5 * 4
    for place in places:
        assert made[f"mixup 0.5, {place}"].against == f"no mixup, {place}"
        assert made[f"no mixup, {place}"].against is None
        assert made[f"no mixup, {place}"].seeds == (0, 3)


def test_rows_without_a_label_are_called_what_sets_them_apart_from_all_others() -> None:
    def named(*rows: tuple[str, str]) -> list[str]:
        return labels([GridRow(tuple(text.split()), {"label": label} if label else {}) for label, text in rows])

    assert named(("baseline", "epochs=1 aug=mixup"), ("", "epochs=1 aug=cutout")) == ["baseline", "cutout"]
    assert named(("cutout", "aug=mixup"), ("", "aug=cutout")) == ["cutout", "aug=cutout"]
    assert named(("", "epochs=3 epochs=1 aug=cutout"), ("", "aug=mixup")) == ["cutout epochs=1", "mixup"]
    assert named(("", "epochs=1"), ("plain", "epochs=1 aug=mixup")) == ["baseline", "plain"]
    assert named(("", "epochs=1"), ("baseline", "epochs=1 aug=mixup")) == ["epochs=1", "baseline"]
    assert named(("", "seeds=[0]"), ("", "seeds=[1]")) == ["baseline", "baseline"], "one arm"


def test_another_baseline_leaves_controls_and_lines_with_a_partner_of_their_own() -> None:
    asked = {line.label: line.against for line in define(["table=lab/postact_mixup", "epochs=10"]).lines}
    assert {label for label, other in asked.items() if other} == asked.keys() - {"no mixup"}
    options = ReportOptions(uri=None, to=None, metric=None, baseline="mixup 0.3", best=False, json=False)
    made = with_options(define(["table=lab/postact_mixup", "epochs=10"]), options)
    control = next(line for line in made.lines if "control" in line.flags)
    assert {line.label: line.against for line in made.lines} == {
        **dict.fromkeys(asked, "mixup 0.3"), "mixup 0.3": None, control.label: "no mixup",
    }  # fmt: skip
    rows = ({"label": "a"}, {"label": "b"}, {"label": "c", "against": "b"}, {"label": "d", "against": None})
    own = [f"{{{', '.join(f'{k}: {json.dumps(v)}' for k, v in row.items())}, overrides: []}}" for row in rows]
    of_rows = define([f"++hydra.sweeper.rows=[{','.join(own)}]"])
    assert [line.against for line in with_options(of_rows, replace(options, baseline="b")).lines] == [
        "b",
        None,
        "b",
        None,
    ]
    assert [line.against for line in with_options(of_rows, replace(options, baseline="c")).lines] == [
        "c",
        "c",
        None,
        None,
    ]


def test_a_sweep_without_a_table_is_one_too() -> None:
    made = define(["aug=[],cutout", "seeds=2", "hydra.launcher.to=x", "sweep=tricks"])
    assert [(line.label, line.against) for line in made.lines] == [("no aug", None), ("cutout", "no aug")]
    assert (made.name, made.title, made.changed) == ("tricks", "tricks", ())
    for name in ("cutout", "'aug=cutout'"):
        named = define(["aug=[],cutout", f"hydra.sweeper.baseline={name}"])
        assert [line.against for line in named.lines] == ["cutout", None]
    with pytest.raises(ConfigError, match=r"hydra.sweeper.baseline=aug=cutot: no row has this label; did you mean"):
        define(["aug=[],cutout", "hydra.sweeper.baseline='aug=cutot'"])


def test_rows_of_another_sweeper_are_lines_and_seeds_are_no_axis() -> None:
    made = define_rows([["epochs=3", "seeds=[0]"], ["epochs=3", "aug=nothing"], ["epochs=3", "seeds=[5]"]])
    assert [(line.label, line.seeds, line.lacks) for line in made.lines] == [
        ("baseline", (0, 5), ""),
        ("nothing", (0,), "aug=nothing: no such option"),
    ]
    assert made.lines[0].command == "python launch/run.py epochs=3 'seeds=[0,5]'"


def test_all_that_a_row_lacks_is_told_its_teachers_options_too() -> None:
    (line,) = define_rows([["aug=[cutout,cutot]", "model=lent", "teacher='model=resnet65'"]]).lines
    assert line.lacks.split("; ") == [f"{x}: no such option" for x in ("aug=cutot", "model=lent", "model=resnet65")]
    (line,) = define_rows([["optim.lr=0.1", "epochs=-1"]]).lines
    assert line.lacks.startswith("epochs=-1: give a whole number")


def test_rows_that_cannot_be_composed_are_left_out_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Grid(GlobalHydra.instance().config_loader()).expand({}, ["aug=cutout,cutot"])
    assert composable(rows, []) == rows[:1]
    assert capsys.readouterr().err == "left out: cutot: aug=cutot: no such option\n"
    with pytest.raises(ConfigError, match=r"none of 1 arm can be composed"):
        composable(rows[1:], [])


def test_on_the_command_line_a_table_is_refused_or_cut(tmp_path: Path) -> None:
    # `nothing` stands for an option to come; that it is an axis gives every row one that works.
    line = [sys.executable, "launch/run.py", "table=start", "model=resnet20,nothing", f"out={tmp_path}", "--json"]
    for more in ("hydra.sweeper.incomplete=refuse", "hydra.sweeper.incomplete=skip"):
        told = subprocess.run(
            [*line, "hydra/launcher=plan", more], cwd=CONF.parent, capture_output=True, text=True, timeout=200
        )
        if more.endswith("skip"):
            assert told.returncode == 0, told.stderr
            assert len(json.loads(told.stdout)["arms"]) == 6
            assert "left out: cutout, model=nothing: model=nothing: no such option" in told.stderr
        else:
            assert told.returncode == 2
            assert "6 of 12 arms refused" in told.stderr
            assert told.stderr.endswith("hydra.sweeper.incomplete=skip leaves them out\n")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"rows": [{"label": "a", "overrides": [], "flag": 1}]}, r"rows\[0\].flag: no such key; did you mean"),
        ({"rows": [{"label": 3, "overrides": []}]}, r"rows\[0\].label=3: is not text"),
        ({"rows": [{"label": "a"}, {"label": "a"}]}, r"rows\[1\].label=a: another row has this label"),
        (
            {"rows": [{"label": "a", "flags": ["contrl"]}]},
            r"rows\[0\].flags: contrl: no such flag .* did you mean cont",
        ),
        ({"rows": [{"label": "a", "against": "b"}]}, r"rows\[0\].against=b: no row has this label"),
        ({"rows": [{"label": "a", "reported": {"acc": 1}}]}, r"rows\[0\].reported.acc: no such metric; did you mean"),
        ({"rows": [{"label": "a", "reported": {"err": "x"}}]}, r"reported.err=x: give a number or a list"),
        ({"rows": [{"label": "a", "reported": {"err": [1, 2]}}]}, r"rows\[0\].seq=None: say what its several"),
        ({"rows": [{"label": "a", "notes": [1]}]}, r"rows\[0\].notes=\[1\]: give text"),
        ({"union": [{"rows": [{"label": "a", "against": "b"}]}]}, r"union\[0\]: rows\[0\].against=b"),
        ({"rows": [{"label": "a"}], "baseline": "b"}, r"baseline=b: no row has this label"),
        (
            {"rows": [{"label": "a", "reported": {"err": 3}}], "rank": "er"},
            "rank=er: no row reports it; did you mean err",
        ),
        ({"rows": [{"label": "a"}], "rank": ["err"]}, "no row reports it; give null"),
        ({"flags": ["odd"]}, "flags: odd: no such flag"),
        ({"incomplete": "maybe"}, "hydra.sweeper.incomplete=maybe: use refuse or skip"),
    ],
)
def test_mistakes_in_a_table_name_file_key_and_value(said: dict[str, Any], message: str) -> None:
    whole = {"incomplete": "refuse", "baseline": "first", **said}
    with pytest.raises(ConfigError, match=message) as raised:
        read_table(whole, "my/own")
    assert str(raised.value).startswith(("conf/table/my/own.yaml: ", "hydra.sweeper.incomplete"))


def test_one_table_at_a_time() -> None:
    with pytest.raises(ConfigError, match="one table at a time"):
        parse_request(["table=start", "table=lab/eta"])


@pytest.mark.parametrize("name", ["start", "lab/channel_drop", "bag/table_6"])
def test_files_read_alone_are_what_hydra_makes_of_them(name: str) -> None:
    node = compose("config", [f"table={name}"], return_hydra_config=True).hydra.sweeper
    about, grid = read_table(dict(OmegaConf.to_container(node, resolve=True)), name)  # type: ignore[arg-type]
    assert parse_request([f"table={name}"]).about == about
    rows = Grid(GlobalHydra.instance().config_loader()).expand(grid, [])
    assert [(row.overrides, row.about) for row in parse_request([f"table={name}"]).rows] == [
        (row.overrides, row.about) for row in rows
    ]


def test_a_file_read_alone_has_hydras_numbers_and_texts_and_no_key_twice(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    for text in (
        "a: 1e-3\nb: 2024-01-01\nc: 0o17\nd: on\ne: 1:30\nf: {x: .5}",
        "a: 1\na: 2",
        "b: {a: 1, a: 2}",
        "[1]",
        "",
    ):
        file.write_text(f"# @package hydra.sweeper\n{text}\n")
        values = _values(file)
        _values.cache_clear()
        try:
            wanted = OmegaConf.to_container(OmegaConf.load(file))
        except YAMLError:
            wanted = None
        assert values == (wanted if isinstance(wanted, dict) else None), text
        assert (values is None) is (text in ("a: 1\na: 2", "b: {a: 1, a: 2}", "[1]")), text
    file.write_text("a: &x [*x]\n")
    assert _values(file) is None, "which Hydra refuses in its words"


def test_coverage_counts_rows_and_what_they_lack(capsys: pytest.CaptureFixture[str]) -> None:
    tables = ["lab/eta", "tricks/3_9", "start"]
    rows = coverage(tables)
    assert [row.table for row in rows] == ["lab/eta"] * 4 + ["tricks/3_9"] * 11 + ["start"] * 6
    lacks = dict(lacking(rows))
    for option in lacks:
        assert lacks[option] == sum(option in row.lacks.split("; ") for row in rows)
    assert main(["table", "--coverage", *tables, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 21
    assert told["composable"] == sum(not row.lacks for row in rows)
    assert told["composable"] == sum(table["composable"] for table in told["tables"].values())
    assert told["lacks"] == lacks


def test_a_table_is_shown_with_its_footnotes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "lab/kl_mixup", "epochs=20"]) == 0
    shown = capsys.readouterr().out
    assert "changed: epochs=20" in shown
    assert "test_acc 92.75" in shown
    assert f"same-gradient: {flags()['same-gradient']}" in shown
    assert main(["table", "lab/kl_mixpu"]) == 2
    assert "table=lab/kl_mixpu: no such option; did you mean lab/kl_mixup" in capsys.readouterr().err


def test_every_table_is_valid() -> None:
    assert len(table_names()) == 55
    for name in table_names():
        asked = parse_request([f"table={name}"])
        assert asked.about.title, name
        assert asked.about.source, name
        made = [row.about.get("label") for row in asked.rows]
        assert all(made), name
        assert len(set(asked.labels)) == len(asked.labels), name


def plan(tmp_path: Path, *line: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "launch/run.py", "-m", *line, "hydra/launcher=plan", f"out={tmp_path}"]
    return subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=200)


def test_keys_that_only_the_rows_bring_can_be_typed(tmp_path: Path) -> None:
    line = ["table=lab/postact_mixup", "sched.eta=1e-5", "data.root=elsewhere", "sched.warmup=1", "data.subset=null"]
    done = plan(tmp_path, *line, "--json")
    told = json.loads(done.stdout)
    assert len(told["arms"]) == 5
    assert all({"sched.eta=1e-5", "data.subset=null"} < set(arm["overrides"]) for arm in told["arms"])
    assert " ".join(line) in told["command"], "as typed"
    wrong = plan(tmp_path, *line, "sched.etta=1")
    assert wrong.returncode == 2
    assert "sched.etta: no such key; did you mean sched.eta" in wrong.stderr
