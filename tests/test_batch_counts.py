"""Batch norms count no batches, which nothing reads; weights that were saved with the numbers and without fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from one_step import begun
from tiny import SMALL_MODEL, TINY, Silent, config, final_weights, run

from ablation.errors import Stopped
from ablation.network import build_network
from ablation.store.checkpoint import save, usable
from ablation.tricks import build_tricks

CONFIG = config(*TINY, *SMALL_MODEL)


def test_no_number_is_kept_and_the_weights_fit_the_network_as_it_is_built() -> None:
    _, state = begun(CONFIG)
    weights = {name.removeprefix("model."): value for name, value in state.weights.all().items()}
    assert any(name.endswith("running_var") for name in weights)
    assert not any(name.endswith("num_batches_tracked") for name in weights)
    build_network(CONFIG, build_tricks(CONFIG), classes=10, channels=3, size=32).load_state_dict(weights, strict=True)


def test_a_trial_that_was_stopped_when_they_were_counted_goes_on(tmp_path: Path) -> None:
    run(CONFIG, tmp_path / "straight")
    with pytest.raises(Stopped):
        run(CONFIG, tmp_path / "old", Silent(3))
    content = next(usable(tmp_path / "old" / "seed-0"))
    norms = [name.removesuffix("running_var") for name in content["weights"] if name.endswith("running_var")]
    content["weights"] |= {f"{norm}num_batches_tracked": torch.tensor(3) for norm in norms}
    (file,) = (tmp_path / "old" / "seed-0").glob("attempt-*/last.pt")
    save(file.parent, content)
    run(CONFIG, tmp_path / "old")
    one, other = final_weights(tmp_path / "straight"), final_weights(tmp_path / "old")
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
