"""The files of conf/table against what the notes say, row by row. Skipped where the notes do not lie beside."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf
from tiny import CONF

from ablation.store.identity import flatten
from launch.compose.hydra_version import initialized
from launch.compose.overrides import parsed
from launch.tables.definition import compositions
from launch.tables.request import Request, parse_request

NOTES = CONF.parents[1] / "shared" / "notes" / "tables.yaml"
pytestmark = pytest.mark.skipif(not NOTES.exists(), reason="the notes' tables.yaml does not lie beside the repository")

FOLDERS = {
    "lab-notes": "lab",
    "bagtricks-cifar": "tricks",
    "bagtricks-imagenet": "bag",
    "lab-notes-upstream": "upstream",
}
UNREAD = {"not-read", "part-read", "elsewhere"}  # flags of rows whose numbers, or some, could not be read
# Where the notes name an accuracy otherwise than results do.
RENAMED = {
    "lab": {"acc": "test_acc"},
    "tricks": {"acc": "best_test_acc"},
    "bag": {"acc": "test_acc"},
    "upstream": {"acc": "raw_test_acc", "ema_acc": "test_acc"},  # with an average, the accuracy is the average's
    "bag/table_7": {"acc": "val_acc", "top5": "val_top5", "test_top5": "top5"},
}


@cache
def tables() -> dict[str, dict[str, Any]]:
    """The notes' tables by our names."""
    found = yaml.safe_load(NOTES.read_text())["tables"]
    named = {}
    for table in found:
        folder, _, name = table["id"].partition("/")
        named[f"{FOLDERS[folder]}/{re.sub('[-.]', '_', name)}"] = table
    return named


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with initialized():
        yield


@cache
def asked(name: str) -> Request:
    return parse_request([f"table={name}"])


def pairs(name: str) -> list[tuple[dict[str, Any], Any]]:
    """The notes' rows, each with ours; ours may have others between, which report nothing."""
    theirs, ours = tables()[name]["rows"], list(asked(name).rows)
    extra = len(ours) - len(theirs)
    for row in [row for row in ours if "reported" not in row.about][:extra]:
        ours.remove(row)
    return list(zip(theirs, ours, strict=True))


def names() -> list[str]:
    return sorted(tables()) if NOTES.exists() else []


def test_every_table_of_the_notes_has_its_file() -> None:
    files = {p.relative_to(CONF / "table").with_suffix("").as_posix() for p in (CONF / "table").glob("*/*.yaml")}
    assert files == set(tables()) | {"lab/open"}
    assert len(files) == 53


@pytest.mark.parametrize("name", names())
def test_every_row_reports_the_numbers_of_the_notes(name: str) -> None:
    renamed = {**RENAMED[name.split("/")[0]], **RENAMED.get(name, {})}
    for theirs, ours in pairs(name):
        reported = {renamed.get(key, key): value for key, value in theirs["num"].items()}
        said, flags = ours.about.get("reported", {}), {*ours.about.get("flags", [])}
        if theirs.get("prov", "verified") == "verified" or not flags & UNREAD:
            assert said == reported, ours.about["label"]
        else:  # recalled: only what was read is given
            assert said.items() <= reported.items(), ours.about["label"]
            assert bool(said) == ("not-read" not in flags), ours.about["label"]
        assert ours.about.get("seq") == theirs.get("seq")
        assert len(ours.about.get("flags", [])) >= len(theirs.get("flags", []))


def settings(row: Any) -> dict[str, Any]:
    """What a row sets, on top of its recipe's file: dotted keys."""
    said = {o.key_or_group: o.value() for o in map(parsed, row.overrides)}
    recipe: Any = OmegaConf.to_container(OmegaConf.load(CONF / "recipe" / f"{said['recipe']}.yaml"))
    chosen = {key.split("/")[1]: value for d in recipe.pop("defaults") for key, value in d.items()}
    defaults = {"aug": [], "regularizer": [], "init": [], "sched.eta": 0, "sched.warmup": 0, "optim.nesterov": False}
    return {**defaults, **chosen, **flatten(recipe), **said}


def wanted(c: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration of the notes has to say of the keys that both have."""
    found = {
        "batch_size": c["batch_size"],
        "optim.lr": c["lr"],
        "optim.weight_decay": c["weight_decay"],
        "optim.nesterov": c["nesterov"],
        "sched": {"warmcosine": "cosine"}.get(c["sched"], c["sched"]),
        "sched.warmup": c["warmup_epochs"],
        "epochs": c.get("refine_epochs") or int(c["epochs"] * c.get("epochs_factor", 1)),
    }
    if c["sched"] in ("cosine", "sgdr"):
        found["sched.eta"] = c["eta"]
    if "milestones" in c and c["sched"] == "multistep":
        found |= {"sched.milestones": [m / c["epochs"] for m in c["milestones"]], "sched.gamma": c["gamma"]}
    if c["mix"] == "mixup" and c["mix_alpha"] != 1 and c.get("refine_mixup") is not False:
        found["aug.mixup.alpha"] = c["mix_alpha"]
    drops = {"drop_residual": "residual", "drop_fc_before": "features", "drop_fc_after": "logits"}
    for key, place in drops.items():
        if c.get(key):
            found["regularizer.dropout.p"] = 0.3 if c[key] == "p?" else c[key]
            found |= {"regularizer.dropout.place": place} if place != "residual" else {}
    for key, ours in (("cycle_len", "len"), ("cycle_mult", "mult"), ("cycle_decay", "decay")):
        found |= {f"sched.{ours}": c[key]} if key in c else {}
    if c.get("refine"):
        found |= {"loss": "refinery", "rounds": c["refine_rounds"]}
    return found


@pytest.mark.parametrize("name", names())
def test_every_row_asks_for_what_the_notes_say(name: str) -> None:
    for theirs, ours in pairs(name):
        c, said = theirs["config"], settings(ours)
        expected = wanted(c)
        assert {key: said.get(key) for key in expected} == expected, ours.about["label"]
        options = [*_listed(said["aug"]), *_listed(said["regularizer"])]
        assert ("cutout" in options) == any(a.startswith("cutout") for a in c["aug"])
        assert ("mixup" in options) == (c["mix"] == "mixup" and c.get("refine_mixup") is not False)
        assert ("logit_bn" in options) == bool(c.get("bn_before_loss"))
        assert ("sam" in options) == ("sam" in c["optimizer"])
        branches = not c["model"].startswith(("inception_v3", "mobilenet"))  # without them there is no last gamma
        assert ("zero_gamma" in _listed(said["init"])) == bool(c.get("last_gamma_zero") and branches)
        assert ("auto_augment" in options) == ("autoaug_cifar10" in c["aug"])
        assert ("norm" in _listed(said.get("optim.no_decay", []))) == bool(c.get("no_bias_decay"))
        if name.startswith("lab/") and name != "lab/postact_mixup":
            norm = "imagenet" if "norm_imagenet" in c["aug"] else "widespread"
            assert said.get("data.norm") == norm
            assert (said.get("data.view") == "resize_crop_flip") == ("resize36" in c["aug"])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_rows_that_compose_train_what_the_notes_say() -> None:
    """After all of Hydra's work: recipes, options' own defaults, settled and checked."""
    rows = [(name, theirs["config"], ours) for name in tables() for theirs, ours in pairs(name)]
    composed = compositions([ours for *_, ours in rows])
    checked = 0
    for (name, c, ours), arms in zip(rows, composed, strict=True):
        if isinstance(arms, Exception):
            continue
        checked += 1
        config, label = flatten(arms[-1].config), f"{name}: {shlex.join(ours.overrides)}"
        assert (config["epochs"], config["batch_size"]) == (wanted(c)["epochs"], c["batch_size"]), label
        assert (config["optim.lr"], config["optim.weight_decay"]) == (c["lr"], c["weight_decay"]), label
        assert config["sched.warmup"] == c["warmup_epochs"], label
        assert config.get("sched.eta") == (c.get("eta", 0) if wanted(c)["sched"] in ("cosine", "sgdr") else None), label
        if "mixup" not in label.partition("teacher=")[2]:  # else it is the first model's alone
            assert config.get("aug.mixup.alpha") == (c["mix_alpha"] if c["mix"] == "mixup" else None), label
        if "train_subset" in c:
            share, tested = int(c["train_subset"].split()[1]) / 50000, c["eval_subset"].split()[1]
            assert (config["data.subset"], config["data.test_subset"]) == (f"first:{share}", f"first:{tested}"), label
        if "stem" in c:
            stem = c["stem"].replace("s1", "/1").replace("s2", "/2")
            preact = config.get("model.preact", config["model._target_"].endswith(".wide_resnet"))  # a WRN always is
            assert (config["model.stem"], preact) == (stem, c["preact"]), label
    assert checked >= 50


def test_conf_holds_no_files_but_tables_and_flags() -> None:
    top = {path.name for path in Path(CONF / "table").iterdir() if path.is_file()}
    assert top == {"_flags.yaml", "start.yaml", "stages.yaml"}
