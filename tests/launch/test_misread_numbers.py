"""Numbers that a file says and YAML reads otherwise are refused with file, line and way out, wherever Hydra looks."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra import compose
from omegaconf import OmegaConf
from tiny import CONF

from ablation.config import scalars
from ablation.errors import ConfigError
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.misread_numbers import misread_values, refuse_typed

FILES = {"launcher": "hydra/launcher/mine.yaml", "recipe": "recipe/mine.yaml", "group": "optim/mine.yaml"}


def said(folder: Path, line: str, file: str = "hydra/launcher/mine.yaml") -> tuple[str, ...]:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(f"defaults:\n  - slurm\n  - _self_\n\n{line}\n")
    misread_values.cache_clear()
    return misread_values(folder)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
@pytest.mark.parametrize(
    ("line", "value", "number", "base"),
    [
        ("resources: {time: 4:00:00}", "4:00:00", 14400, 60),
        ("resources:\n  time: 4:00", "4:00", 240, 60),
        ("keeper_resources: {time: 1:30}", "1:30", 90, 60),
        ("lease: 1:00", "1:00", 60, 60),
        ("checkpoint: {seconds: 0:10:00.5}", "0:10:00.5", 600.5, 60),
        ("resources: {account: 0123}", "0123", 83, 8),
        ("batch_size: 010", "010", 8, 8),
        ("setup: [1, 2:30]", "2:30", 150, 60),
    ],
)
def test_what_yaml_misreads(line: str, value: str, number: float, base: int, file: str, tmp_path: Path) -> None:
    (found,) = said(tmp_path, line, file)
    assert found.startswith(f"{tmp_path / file}, line {6 if 'time: 4:00' in line and ':00:' not in line else 5}: ")
    assert found.endswith(f"{value} is {number} to YAML, which reads it in base {base}; put it in quotes: '{value}'")


@pytest.mark.parametrize("node", ["resources", "keeper_resources"])
@pytest.mark.parametrize(
    ("key", "value", "number"),
    [
        ("account", "1_000", "1000"),
        ("account", "0x1F", "31"),
        ("qos", "1.10", "1.1"),
        ("constraint", "1e5", "100000.0"),
        ("reservation", "0b11", "3"),
        ("nodelist", "12_3", "123"),
        ("mail_user", "+5", "5"),
    ],
)
def test_what_is_a_text_to_slurm(key: str, value: str, number: str, node: str, tmp_path: Path) -> None:
    end = f"{key}: {value} is {number} to YAML, and a text to SLURM; put it in quotes: '{value}'"
    assert said(tmp_path, f"{node}: {{{key}: {value}}}") == (f"{tmp_path / FILES['launcher']}, line 5: {end}",)
    for well in (f"{{{key}: '{value}'}}", f"{{{key}: 1000}}", f"{{{key}: a}}", f"{{mem: {value}}}"):
        assert said(tmp_path, f"{node}: {well}") == ()


@pytest.mark.parametrize(
    "line",
    [
        "time: '4:00:00'  # not 4:00:00",
        'time: "4:00"',
        "time: 1-0",
        "mem: 64G",
        "lr: 1e-3",
        "n: 1_000",
        "sweep: 2026-11-29",
        "a: 0",
        "b: 0.10",
        "text: |\n  at 4:00\n",
        "gpus: a100:1",
        "c: 089",
        "seed: 0x10",
        "url: http://h:5000",
        "broken: [",
    ],
)
def test_what_is_as_it_stands(line: str, tmp_path: Path) -> None:
    assert said(tmp_path, line) == ()


def test_other_files_are_not_looked_at(tmp_path: Path) -> None:
    assert said(tmp_path, "a: 4:00", "results/runs/x/config.yaml") == ()


def test_our_own_files_are_well(tmp_path: Path) -> None:
    assert misread_values(Path(CONF)) == ()


def test_a_sweep_over_such_a_file_is_refused(tmp_path: Path) -> None:
    said(tmp_path, "resources: {time: 4:00:00}")
    with initialized(), pytest.raises(ConfigError, match=r"line 5: 4:00:00 is 14400"):
        compose_arms([["epochs=1"]], [f"hydra.searchpath=[file://{tmp_path}]"])


def test_a_package_of_options_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_of_options").mkdir()
    (tmp_path / "mine_of_options" / "__init__.py").touch()
    said(tmp_path / "mine_of_options", "lease: 1:30", FILES["recipe"])
    monkeypatch.syspath_prepend(tmp_path)
    with initialized(), pytest.raises(ConfigError, match=r"recipe/mine\.yaml, line 5: 1:30 is 90"):
        compose_arms([["epochs=1"]], ["hydra.searchpath=[pkg://mine_of_options]"])


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("4:00:00", "4:00:00"),
        ("4:00", "4:00"),
        ("1-0", "1-0"),
        ("010", "010"),
        ("1_000", 1000),
        ("90", 90),
        ("1e3", 1000.0),
    ],
)
def test_the_command_line_reads_it_as_text(typed: str, read: Any) -> None:
    with initialized():
        config = compose(
            "config", ["hydra/launcher=slurm", f"hydra.launcher.resources.time={typed}"], return_hydra_config=True
        )
    assert config.hydra.launcher.resources.time == read


@pytest.mark.parametrize("value", ["1_000", "+5", "12_3"])
def test_what_is_typed_for_slurm_is_text(value: str) -> None:
    key = "hydra.launcher.resources.account"
    with pytest.raises(ConfigError, match=r"is read as \d+, and is a text to SLURM; type ") as refused:
        refuse_typed(["hydra/launcher=slurm", f"{key}={value}"])
    (typed,) = shlex.split(str(refused.value).partition("; type ")[2])
    refuse_typed([typed, f"{key}=1000", f"{key}=010", f"{key}=a_1", "hydra.launcher.pack=1_0"])
    with initialized():
        config = compose("config", ["hydra/launcher=slurm", typed], return_hydra_config=True)
    assert config.hydra.launcher.resources.account == value


@pytest.mark.parametrize("name", ["2026-11-29", "010", "yes"])
def test_names_that_look_like_other_things_are_text(name: str) -> None:
    with initialized():
        config: Any = OmegaConf.to_container(compose("config", [f"sweep={name}"]), resolve=True)
    assert config["sweep"] == name
    scalars(config)


@pytest.mark.parametrize(
    "typed",
    [
        "lease=4:00",
        "lease=yes",
        "lease=null",
        "lease=-1",
        "lease=nan",
        "checkpoint.seconds=5:00",
        "checkpoint.seconds=null",
        "checkpoint.seconds=nan",
        "checkpoint.seconds=inf",
        "checkpoint.seconds=true",
        "sweep=true",
        "sweep=1e3",
        "sweep=null",
    ],
)
def test_durations_and_names_that_are_none_are_refused(typed: str) -> None:
    with initialized():
        config: Any = OmegaConf.to_container(compose("config", [typed]), resolve=True)
    with pytest.raises(ConfigError, match=f"^{typed.partition('=')[0]}="):
        scalars(config)


def test_an_option_that_hydra_passes_over_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aug").mkdir()
    for name, text in (
        ("cutout", (CONF / "aug" / "cutout.yaml").read_text()),
        ("mixup", "mixup: {_target_: mine.shade}"),
    ):
        (tmp_path / "aug" / f"{name}.yaml").write_text(text)
    with initialized(), pytest.raises(ConfigError) as refused:
        compose_arms([["aug=mixup"]], [f"hydra.searchpath=[file://{tmp_path}]"])
    assert f"{tmp_path}/aug/mixup.yaml: is never read, since the project has an option of this name" in str(
        refused.value
    )
