"""What `auto` chooses, and that every precision trains."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny import SMALL_MODEL, TINY, Silent, config, final_weights, run

from ablation.errors import ConfigError, Stopped
from ablation.machine.device import choose_device
from ablation.machine.precision import arithmetic, choose_precision
from ablation.store.journal import events

CPU = torch.device("cpu")


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="asks Linux for the processor's flags")
def test_auto_on_a_processor_is_what_its_flags_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    flags = Path("/proc/cpuinfo").read_text().split()
    native = {"avx512_bf16", "amx_bf16", "bf16"} & set(flags)
    assert choose_precision("auto", CPU).name == ("bf16" if native else "fp32")
    assert choose_precision("auto", CPU).why


@pytest.mark.parametrize("limit", ["avx2", "AVX512_CORE"])
def test_auto_where_the_library_is_limited_to_instructions_without_bf16(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert choose_precision("auto", CPU).name == "fp32"


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="precision=tf32"):
        choose_precision("tf32", CPU)
    with pytest.raises(ConfigError, match=r"device=cuda:99: torch sees \d+ GPUs"):
        choose_device("cuda:99")


def test_on_a_gpu_float32_is_float32_whatever_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in ((torch.backends.cudnn, "allow_tf32"), (torch.backends.cudnn, "benchmark")):
        monkeypatch.setattr(place, name, getattr(place, name))  # restored afterwards
    before = torch.get_float32_matmul_precision()
    gpu = torch.device("cuda")
    try:
        torch.set_float32_matmul_precision("high")  # as TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 does
        torch.backends.cudnn.allow_tf32 = True
        assert arithmetic(gpu)["float32"] == "TF32"
        assert choose_precision("fp32", gpu).name == "fp32"
        assert arithmetic(gpu) == {"float32": "exact", "cudnn": "fastest kernels"}
        assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.set_float32_matmul_precision(before)
    assert arithmetic(CPU) == {}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_trains_near_float32(tmp_path: Path, precision: str) -> None:
    """The same steps in another format: near, and not the same, so that the switch does something."""
    settings = config(*TINY, *SMALL_MODEL, "optim.lr=0.01", "epochs=1", "regularizer=[clip,sam]")
    ends = {}
    for name in ("fp32", precision):
        (result,) = run(settings | {"precision": name}, tmp_path / name).values()
        assert isinstance(result, dict)
        assert result["precision"] == name
        assert math.isfinite(result["train_loss"])
        ends[name] = final_weights(tmp_path / name)["weights.model.head.weight"]
    change = (ends["fp32"] - ends[precision]).norm() / ends["fp32"].norm()
    assert 0 < change < 0.02


def test_a_trial_ends_in_the_precision_in_which_it_began(tmp_path: Path) -> None:
    """Begun in fp32 as `auto` chose there, resumed where `auto` would choose otherwise."""
    settings = config(*TINY, *SMALL_MODEL) | {"precision": "auto"}
    with pytest.raises(Stopped):
        run(settings | {"precision": "fp32"}, tmp_path, Silent(3))
    watch = Silent()
    (result,) = run(settings, tmp_path, watch).values()
    assert isinstance(result, dict)
    assert result["precision"] == "fp32"
    assert [leg.precision for leg in watch.legs] == ["fp32 (as it was begun)"]
    starts = [e["precision"] for e in events(tmp_path / "seed-0") if e["event"] == "start"]
    assert starts == ["fp32", "fp32"]
