"""The committed evidence is what it says it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from ablation.store import journal
from ablation.store.identity import identify
from launch.compose.naming import rules

EVIDENCE = Path(__file__).resolve().parents[1] / "results" / "evidence"
ARMS = sorted(p.parent for p in EVIDENCE.glob("*/*/arm.json"))


def test_there_is_some() -> None:
    assert ARMS


@pytest.mark.parametrize("arm", ARMS, ids=lambda p: p.name)
def test_an_arm_is_what_it_says(arm: Path) -> None:
    """Its id is that of its configuration, a result is its journal's last epoch, and nothing of a machine is named."""
    assert identify(yaml.safe_load((arm / "config.yaml").read_text()), rules()) == arm.name
    for seed in arm.glob("seed-*"):
        result = json.loads((seed / "result.json").read_text())
        epochs = journal.history(journal.events(seed))
        assert len(epochs) == result["epochs"]
        assert epochs[-1]["metrics"]["test_acc"] == result["test_acc"]
        assert max(e["metrics"]["test_acc"] for e in epochs) == result["best_test_acc"]
    # neither a folder of whoever ran it, which nobody else has, nor a host
    files = [arm / name for name in ("arm.json", "config.yaml", "provenance.json")] + [*arm.rglob("*.json*")]
    found = [path.name for path in files if re.search(r"""(^|["'=:\s])/[a-z]+/|"host""", path.read_text(), re.M)]
    assert found == []
