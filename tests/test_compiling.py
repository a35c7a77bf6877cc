"""A worker that has compiled many configurations compiles the next one too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TINY, config, run

from ablation.machine import compiling

# Nine steps that differ in more than a number.
AUGS = (
    "", "cutout", "channel_drop", "gaussian_noise", "pca_lighting", "cutout,channel_drop", "channel_drop,cutout",
    "cutout,gaussian_noise", "gaussian_noise,cutout",
)  # fmt: skip


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is compiled, by a back-end that runs the graphs as they are."""
    found: list[Any] = []

    def backend(graph: Any, _: Any) -> Any:
        found.append(graph)
        return graph.forward

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f: real(f, backend=backend))
    monkeypatch.setattr(compiling, "_compiled", set())
    torch.compiler.reset()
    return found


def trained(folder: Path, aug: str, *more: str) -> None:
    settings = config(*TINY, "model=toynet", f"aug=[{aug}]", "compile=true", "epochs=1", *more)
    (outcome,) = run(settings, folder).values()
    assert isinstance(outcome, dict)


def test_the_ninth_configuration_of_a_process_is_compiled(tmp_path: Path, graphs: list[Any]) -> None:
    for n, aug in enumerate(AUGS, 1):
        trained(tmp_path / str(n), aug)
        assert len(graphs) == n
    trained(tmp_path / "again", AUGS[-1], "seeds=[5]")
    assert len(graphs) == len(AUGS), "another seed goes on with what was compiled for the first"
