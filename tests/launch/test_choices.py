"""What is typed for a group and names no option is refused in one line, and what that line says to type works.

So is a search path on which nothing is: of that Hydra only warns.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import CONF

from ablation.errors import ConfigError
from launch.compose import paths
from launch.compose.arms import compose_arms
from launch.compose.choices import refuse
from launch.compose.hydra_version import initialized
from tests.launch.front_door import start

NO_OPTION = {
    "aug=null": "aug=null: null is no option; for none of them type 'aug=[]'",
    "+aug=null": "+aug=null: null is no option; for none of them type 'aug=[]'",
    "aug=[null]": "aug=[null]: null is no option; type 'aug=[]'",
    "aug=[mixup,null]": "aug=[mixup,null]: null is no option; type 'aug=[mixup]'",
    "model=null": "model=null: null is no option; give model=NAME, one of conf/model/",
    "recipe=null": "recipe=null: null is no option; leave recipe= out for none",
    "model=[resnet20]": "model=[resnet20]: model is exactly one option; type model=resnet20",
    "model=[]": "model=[]: model is exactly one option; give model=NAME, one of conf/model/",
    "sched=true": "sched=true: true is no option; did you mean step?",
    "hydra/launcher=1": "hydra/launcher=1: 1 is no option; valid: local, plan, report, slurm",
    "regularizer=[ema,swa,ema]": "regularizer=[ema,swa,ema]: ema is named twice and would be there once; name it once",
}


def said(*row: str, search: tuple[str, ...] = ()) -> str:
    with initialized(), pytest.raises(ConfigError) as refused:
        compose_arms([row], search)
    return str(refused.value)


@pytest.mark.parametrize("typed", NO_OPTION)
def test_what_names_no_option(typed: str) -> None:
    assert said(typed) == NO_OPTION[typed]


@pytest.mark.parametrize("typed", ["aug=1", "aug=[1.5]", "~model=1"])
def test_numbers_are_no_options(typed: str) -> None:
    assert said(typed).startswith(f"{typed}: 1")
    assert " is no option; valid: a" in said(typed)


@pytest.mark.parametrize("form", ["sched={}", "aug={}", "aug=[{}]"])
@pytest.mark.parametrize("name", ["nan", "1.5", "true"])
def test_an_option_whose_name_reads_as_something_else_is_typed_in_quotes(form: str, name: str, tmp_path: Path) -> None:
    for group, target in (("sched", "sched.constant.constant"), ("aug", "aug.cutout.cutout")):
        (tmp_path / group).mkdir()
        lines = f"_target_: ablation.{target}\n"
        (tmp_path / group / f"{name}.yaml").write_text(lines if group == "sched" else f"mine:\n  {lines}  size: 3\n")
    search = (f"hydra.searchpath=[file://{tmp_path}]",)
    told = said(form.format(name), search=search)
    assert f"{name} is read as a number or a truth value; type " in told
    with initialized():
        (planned,) = compose_arms([shlex.split(told.partition("; type ")[2])], search)
    node = planned.config["sched"] if form.startswith("sched") else planned.config["aug"]["mine"]
    assert node["_target_"] == f"ablation.{'sched.constant.constant' if form.startswith('sched') else target}"


def test_what_is_no_choice_is_passed_over() -> None:
    refuse(["--cfg", "job", "-m", "aug=[]", "aug=mixup,cutout", "sched={gamma: 2}", "optim.lr=1", "teacher=null"])


@pytest.mark.parametrize(
    ("typed", "told"),
    {
        "hydra.searchpath=[file://{here}/conf]": "names the folder {here}/conf, which is not there",
        "hydra.searchpath=[{here}/conf]": "names the folder {here}/conf, which is not there",
        "hydra.searchpath=[conf]": "names the folder {here}/conf, which is not there",
        "hydra.searchpath=[file://{here},file://{here}/conf]": "names the folder {here}/conf, which is not there",
        "hydra.searchpath=[file://{here}/file]": "is a file, and no folder",
        "hydra.searchpath=[pkg://no_such_package.conf]": "is no package that can be imported",
        "+hydra.searchpath=[file://{here}]": "Hydra passes this over",
        "++hydra.searchpath=[file://{here}]": "Hydra passes this over",
        "~hydra.searchpath": "Hydra passes this over",
    }.items(),
)
def test_a_search_path_that_is_not_there(
    typed: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for line in (["epochs=1"], ["-m", "hydra/launcher=plan"]):
        answer = start([*line, typed.format(here=tmp_path)])
        assert (answer.code, answer.warned) == (2, ())
        assert answer.said.startswith("error: ")
        assert "hydra.searchpath" in answer.said
        assert told.format(here=tmp_path) in answer.said


def test_of_two_search_paths_hydra_would_take_the_first(tmp_path: Path) -> None:
    path = f"hydra.searchpath=[file://{tmp_path}]"
    assert "Hydra passes this over; give all folders in one" in start(["--cfg", "job", path, path]).said


def test_what_an_earlier_line_looked_in_and_is_gone_is_why_it_is_refused_today(tmp_path: Path) -> None:
    assert "which is not there" in said("epochs=1", search=(f"hydra.searchpath=[file://{tmp_path}/gone]",))


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["aug=null"], "error: aug=null: null is no option; for none of them type 'aug=[]'"),
        (["-m", "aug=null"], "error: aug=null: null is no option; for none of them type 'aug=[]'"),
    ],
)
def test_one_line_at_the_terminal(typed: list[str], told: str) -> None:
    line = [sys.executable, "launch/run.py", *typed]
    done = subprocess.run(line, cwd=CONF.parent, capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()) == (2, [told])


@pytest.mark.parametrize(
    ("out", "told"),
    [
        (__file__, f"out={__file__}: it is a file; give out= a folder that you may write to, such as out=results/runs"),
        (f"{__file__}/x", f"out={__file__}/x: {__file__} is a file; give out= a folder"),
    ],
)
def test_a_folder_of_runs_that_cannot_be(out: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        paths.make_out({"out": out})
