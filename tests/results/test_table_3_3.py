"""Table 3.3 of the tricks README: what its footnotes say of the networks here is true."""

from __future__ import annotations

import re

import networks
import pytest
import torch
import yaml
from tiny import CONF

_HERE = re.compile(r"([\d.]+) M parameters here and ([\d.]+) M in the source's code")


def rows() -> dict[str, dict[str, object]]:
    said = yaml.safe_load((CONF / "table" / "tricks" / "3_3.yaml").read_text())
    assert said["rank"] == "best_test_acc"
    return {row["label"]: row for row in said["rows"]}


def parameters(overrides: object) -> int:
    said = dict(text.split("=") for text in str(overrides).split())
    changed = {key.removeprefix("model."): yaml.safe_load(said[key]) for key in said if key.startswith("model.")}
    with torch.device("meta"):
        return networks.parameters(networks.network(said["model"], **changed))


def test_parameters_in_footnotes_are_those_of_the_networks() -> None:
    told = {label: _HERE.search(str(row.get("notes"))) for label, row in rows().items()}
    assert sum(found is not None for found in told.values()) == 10
    for label, found in told.items():
        if found:
            here, there = map(float, found.groups())
            assert here == round(parameters(rows()[label]["overrides"]) / 1e6, 2), label
            assert abs(here / there - 1) > 0.01, "else nothing is to be told"
    assert parameters(rows()["ResNet-20"]["overrides"]) == pytest.approx(0.272e6, rel=0.01)
