"""The committed evidence is what it says it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from ablation import journal
from ablation.identity import identify
from launch.arm import rules

EVIDENCE = Path(__file__).resolve().parents[1] / "results" / "evidence"
ARMS = sorted(p.parent for p in EVIDENCE.glob("*/*/arm.json"))


def row(arm: Path) -> str:
    """An arm's line of the table."""
    described = json.loads((arm / "arm.json").read_text())
    scores = [json.loads(p.read_text())["test_acc"] for p in sorted(arm.glob("seed-*/result.json"))]
    mean = sum(scores) / len(scores)
    return f"| {described['name']} | {arm.name} | " + " | ".join(f"{s:.2f}" for s in [*scores, mean]) + " |"


def test_there_is_some() -> None:
    assert ARMS


@pytest.mark.parametrize("arm", ARMS, ids=lambda p: p.name)
def test_an_id_is_that_of_its_configuration(arm: Path) -> None:
    assert identify(yaml.safe_load((arm / "config.yaml").read_text()), rules()) == arm.name


@pytest.mark.parametrize("arm", ARMS, ids=lambda p: p.name)
def test_a_result_is_its_journal_s_last_epoch(arm: Path) -> None:
    for seed in arm.glob("seed-*"):
        result = json.loads((seed / "result.json").read_text())
        epochs = journal.history(journal.events(seed))
        assert len(epochs) == result["epochs"]
        assert epochs[-1]["metrics"]["test_acc"] == result["test_acc"]
        assert max(e["metrics"]["test_acc"] for e in epochs) == result["best_test_acc"]


@pytest.mark.parametrize("arm", ARMS, ids=lambda p: p.name)
def test_the_table_says_what_the_files_say(arm: Path) -> None:
    assert row(arm) in (EVIDENCE / "README.md").read_text()
