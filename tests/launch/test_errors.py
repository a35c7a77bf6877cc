"""What is said of a mistake is said of what the user has: the options on a search path of one's own included."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose
from hydra.errors import HydraException
from omegaconf import OmegaConf
from tiny import CONF
from yaml import YAMLError

from ablation.errors import ConfigError
from launch.cli import main
from launch.compose import overrides
from launch.compose.arms import compose_arms
from launch.compose.errors import message
from launch.compose.hydra_version import initialized
from launch.compose.overrides import for_hydra


@pytest.fixture
def search(tmp_path: Path) -> str:
    (tmp_path / "aug").mkdir()
    (tmp_path / "aug" / "mine.yaml").write_text("mine:\n  _target_: my.aug\n  strength: 2\n")
    (tmp_path / "optim").mkdir()
    (tmp_path / "optim" / "shampoo.yaml").write_text("_target_: my.optim\nlr: 2\nmomenta: [0.9]\n")
    return f"hydra.searchpath=[file://{tmp_path}]"


def said(*typed: str) -> str:
    with initialized(), pytest.raises(HydraException) as refused:
        compose("config", list(typed))
    return message(refused.value, typed)


MISTAKES = {
    "aug=mine aug.mine.strenght=3": "aug.mine.strenght: no such key; did you mean aug.mine.strength?",
    "aug=[mixup,mine] aug.mine.strenght=3": "aug.mine.strenght: no such key; did you mean aug.mine.strength?",
    "optm.lr=1": "optm.lr: no such key; did you mean optim.lr?",
    "optim.learning_rate=1": "optim.learning_rate: no such key; did you mean optim.lr?",
    "optim.wd=1": "optim.wd: no such key; did you mean optim.weight_decay?",
    "agu.mixup.alpha=1 aug=mixup": "agu.mixup.alpha: no such key; did you mean aug.mixup.alpha?",
    "aug=mien": "aug=mien: no such option; did you mean mine?",
    "aug=mixupp": "aug=mixupp: no such option; did you mean mixup?",
    "aug.mine.strength=3": "aug.mine.strength: mine is not chosen; add aug=mine",
    "optim=shampoo optim.momentum=1": "optim.momentum: no such key; did you mean optim.momenta?",
    "optim=shampo": "optim=shampo: no such option; did you mean shampoo?",
    "aug=mine epohcs=3": "epohcs: no such key; did you mean epochs?",
    "aug.mixup.alpha=1": "aug.mixup.alpha: mixup is not chosen; add aug=mixup",
    "optim={lr:0.2,momentm:0.8}": "optim.momentm: no such key; did you mean optim.momentum?",
    "checkpoint={secnds:3}": "checkpoint.secnds: no such key; did you mean checkpoint.seconds or checkpoint.epochs?",
    "aug={cutout:{size:3}}": "aug.cutout: cutout is not chosen; add aug=cutout",
    "aug=cutout aug.cutout={sze:3}": "aug.cutout.sze: no such key; did you mean aug.cutout.size or aug.cutout.holes?",
    "aug.mixpu.alpha=2": "aug.mixpu.alpha: mixpu is no option; did you mean mixup?",
    "hydra/launcher=slurm hydra.launcher.resources.tme=1": (
        "hydra.launcher.resources.tme: no such key; did you mean hydra.launcher.resources.time or "
        "hydra.launcher.resources.mem or hydra.launcher.resources.qos?"
    ),
}


@pytest.mark.parametrize("typed", MISTAKES)
def test_the_user_s_own_options_are_offered(typed: str, search: str) -> None:
    assert said(search, *typed.split()) == MISTAKES[typed]


def test_of_two_mistakes_one_is_told_plainly(search: str) -> None:
    two = said(search, "aug=mine", "aug.mine.strenght=3", "optim=adan")
    assert two.startswith("optim=adan: no such option; did you mean adam or ")


def test_entries_of_a_mapping_are_added() -> None:
    assert said("model=dpn26", "model.arguments={groups: 4}") == (
        "model.arguments: has no such entry; one is added by ++model.arguments={name: value}"
    )


def test_arms_of_a_sweep_are_explained_with_the_search_path(search: str) -> None:
    with initialized(), pytest.raises(ConfigError) as refused:
        compose_arms([["aug=mine", "aug.mine.strenght=3"], ["aug=mien"]], [search])
    assert "did you mean aug.mine.strength?" in str(refused.value)
    assert "aug=mien: no such option; did you mean mine?" in str(refused.value)


def test_one_line_at_the_terminal(search: str) -> None:
    line = [sys.executable, "launch/run.py", search, "aug=mine", "aug.mine.strenght=3"]
    done = subprocess.run(line, cwd=Path(CONF).parent, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1:] == ["error: aug.mine.strenght: no such key; did you mean aug.mine.strength?"]
    assert len(done.stderr.splitlines()) <= 2


def test_of_two_values_the_later_one_counts_and_names_the_arm() -> None:
    row = ["aug=cutout", "optim.lr=0.1", "seeds=1", "aug=mixup", "optim.lr=0.2", "seeds=1"]
    with initialized():
        (planned,) = compose_arms([row])
    assert planned.arm.name == "aug=mixup,optim.lr=0.2"
    assert planned.notes[:2] == (
        "aug=cutout does nothing: aug=mixup stands later and counts; for both options give aug=[NAME,NAME]",
        "optim.lr=0.1 does nothing: optim.lr=0.2 stands later and counts",
    )


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        (["aug={new:{_target_:ablation.aug.cutout.cutout,size:3}}"], "aug.new.size", 3),
        (["loss={_target_:tiny.loss,beta:0.5}"], "loss.beta", 0.5),
        (["loss._target_=tiny.loss", "loss.beta=0.5"], "loss.beta", 0.5),
    ],
)
def test_a_new_key_is_added_by_what_is_said(typed: list[str], key: str, value: float) -> None:
    told = said(*typed)
    *others, _ = typed
    (again,) = shlex.split(told.partition("and + adds what is new: ")[2])
    with initialized():
        config = compose("config", [*others, again])
    assert OmegaConf.select(config, key) == value


@pytest.mark.parametrize("value", ["größe", "/tmp/ä b/c", 'say "hello"', "a\\b(c", "{not closed"])
def test_text_that_hydra_cannot_read_is_typed_as_is_said(value: str) -> None:
    told = said(f"out={value}")
    if value.startswith("{"):
        assert told.partition("; ")[2].startswith("close its brackets and quotes")
        return
    (again,) = shlex.split(told.partition("; type ")[2])
    with initialized():
        assert compose("config", [again]).out == value


def test_values_of_a_sweep_are_quoted_one_by_one() -> None:
    assert overrides.suggest_override("model.name=a,ü") == """type 'model.name=a,"ü"'"""
    assert overrides.suggest_override("größe=1") == overrides.suggest_override("größe") == "give key=value"


@pytest.mark.parametrize(
    ("typed", "given"),
    [
        ("recipe=smoke -m aug=a,b", "-m recipe=smoke aug=a,b"),
        ("recipe=smoke --cfg job aug=a", "--cfg job recipe=smoke aug=a"),
        ("aug=a --json hydra/launcher=plan -m", "-m aug=a hydra.launcher.json=true hydra/launcher=plan"),
        ("-m ~sched --info plugins aug=a", "-m --info plugins ~sched aug=a"),
    ],
)
def test_options_may_stand_among_the_overrides(typed: str, given: str) -> None:
    if "--info" in typed:
        with pytest.raises(ConfigError, match="--info: shows one configuration, not those of a sweep; leave -m out"):
            for_hydra(typed.split())
    else:
        assert for_hydra(typed.split()) == given.split()


def test_a_group_that_was_taken_away_and_made_anew_is_called_by_its_factory() -> None:
    with initialized():
        (planned,) = compose_arms([["~sched", "+sched={_target_:ablation.sched.constant.constant}"]])
    assert planned.arm.groups["sched"] == "ablation.sched.constant.constant"


def test_a_file_that_is_not_yaml_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for group in ("table", "model"):
        (tmp_path / group).mkdir()
        (tmp_path / group / "torn.yaml").write_text('# mine\ntitle: "half\n')
    search, why = f"hydra.searchpath=[file://{tmp_path}]", "torn.yaml:3: is not YAML (found unexpected end of stream)"
    assert main(["table", "torn", search]) == 2
    assert f"{tmp_path}/table/{why}; correct the file\n" in capsys.readouterr().err
    with initialized(), pytest.raises(YAMLError) as refused:
        compose("config", ["model=torn", search])
    assert message(refused.value, []) == f"{tmp_path}/model/{why}; correct the file"


def test_what_cannot_be_imported_says_how_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "tricks_found"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "shade.py").write_text("import tricks_need_this\n")
    monkeypatch.syspath_prepend(tmp_path)
    ways = {
        "tricks_lost.shade.shade": "No module named 'tricks_lost'; put the folder that tricks_lost is in on PYTHONPATH",
        "tricks_found.lost.shade": f"No module named 'tricks_found.lost'; tricks_found is that of {package}/",
        "tricks_found.shade.shade": "No module named 'tricks_need_this'; tricks_found.shade imports it: install it, or",
    }
    for target, way in ways.items():
        for rows in ([[f"+aug.mine._target_={target}"]], [["aug=cutout"], [f"+aug.mine._target_={target}"]]):
            with initialized(), pytest.raises(ConfigError) as refused:
                compose_arms(rows)
            assert f"aug.mine._target_={target}: {way}" in str(refused.value)
    with initialized(), pytest.raises(ConfigError) as refused:
        compose_arms([["+aug.mine._target_=ablation.aug.cutoff.cutoff"]])
    assert "PYTHONPATH" not in str(refused.value)
