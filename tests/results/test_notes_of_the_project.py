"""The notes treat every table and every claim of the sources."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from results.blocks.markers import parse

ROOT = Path(__file__).resolve().parents[2]
NOTES = ROOT / "results" / "notes"
SOURCE = ROOT.parent / "shared" / "notes" / "tables.yaml"
FOLDERS = {
    "lab-notes": "lab",
    "bagtricks-cifar": "tricks",
    "bagtricks-imagenet": "bag",
    "lab-notes-upstream": "upstream",
}
CLAIMS = {  # first digits of the source's file, line, key: the note, and the claim in its words
    ("000", 25, "weight_decay"): ("weight_decay", "Weight decay 5e-4 is better than 1e-4"),
    ("000", 27, "sched"): ("schedules", "Cosine is better than multi-step"),
    ("000", 27, "eta"): ("schedules", "A final rate of 1e-4 is best for the pre-activation network"),
    ("000", 29, "last_gamma_zero"): ("zero_gamma", "Zero gamma helps the post-activation network"),
    ("000", 32, "aug"): ("stem_and_preprocessing", "Pad and crop is better than resize and crop"),
    ("000", 34, "drop_residual"): ("dropout", "inside the residual branch it is a small gain"),
    ("000", 36, "bn_before_loss"): ("batch_norm", "A batch norm on the logits helps a little"),
    ("000", 39, "mix_target"): ("mixup", "Mixing labels is better than mixing losses"),
    ("000", 39, "mix_alpha"): ("mixup", "A simple network wants a small alpha"),
    ("000", 41, "loss"): ("mixup", "KL divergence and cross-entropy give the same result"),
    ("000", 43, "eta"): ("schedules", "The best final rate depends on mixup's alpha"),
    ("000", 45, "preact"): ("mixup", "Mixup helps the post-activation network more"),
    ("000", 49, "label_smoothing"): ("label_smoothing", "Label smoothing makes it a little worse"),
    ("000", 54, "dropout"): ("dropout", "wherever it is put, it is a small loss"),
    ("000", 56, "sched"): ("warm_restarts", "Restarts never help"),
    ("001", 154, "sched_step"): ("warm_restarts", "Cycles have to be complete, and a step per epoch is better"),
    ("001", 329, "ema_decay"): ("ema", "With an average training is calmer, but the schedule is still needed"),
    ("001", 203, "refine_mixup"): ("label_refinery", "The gain is gone when the rounds themselves use mixup"),
    ("002", 156, "batch_size"): ("large_batch_recipe", "Batch size affects convergence"),
    ("003", 55, "warmup_epochs"): (
        "large_batch_recipe",
        "Of the steps for large batches, warm-up and zero gamma bring the most",
    ),
    ("003", 81, "model"): ("large_batch_recipe", "The stem and the shortcuts of ResNet-D are worth nearly a point"),
    ("003", 113, "reg"): (
        "large_batch_recipe",
        "Each of cosine, smoothing and mixup is a gain, distillation only for some",
    ),
}
ALSO = {("000", 29, "last_gamma_zero"): ("zero_gamma", "Zero gamma harms the pre-activation network")}


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    if not SOURCE.exists():
        pytest.skip(f"{SOURCE} is not here")
    found: dict[str, Any] = yaml.safe_load(SOURCE.read_text())
    return found


def test_every_table_of_the_sources_is_in_some_note(source: dict[str, Any]) -> None:
    asked = {b.arguments[0] for p in NOTES.glob("*.md") for b in parse(p.read_text(), p.name) if b.kind == "table"}
    names = [str(table["id"]).partition("/") for table in source["tables"]]
    wanted = {f"{FOLDERS[group]}/{re.sub('[-.]', '_', name)}" for group, _, name in names}
    assert len(wanted) == 52
    assert wanted - asked == set()


def test_every_claim_of_the_sources_is_known(source: dict[str, Any]) -> None:
    assert CLAIMS.keys() == {(str(claim["file"])[:3], claim["line"], claim["key"]) for claim in source["claims"]}


@pytest.mark.parametrize(("name", "words"), [*CLAIMS.values(), *ALSO.values()])
def test_every_claim_is_treated_in_its_note(name: str, words: str) -> None:
    assert f"**{words}" in " ".join((NOTES / f"{name}.md").read_text().split())


def test_all_notes_are_in_the_index() -> None:
    index = (NOTES / "README.md").read_text()
    assert [p.name for p in NOTES.glob("*.md") if p.name != "README.md" and f"({p.name})" not in index] == []
