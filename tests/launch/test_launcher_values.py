"""What no launcher can do with its options is refused before anything is written or submitted, by the option's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.checks import no_effect
from launch.status import retry_policy
from tests.launch.front_door import start

BILLION = 10**9
REFUSED = {
    "local": (
        f"workers={BILLION}", "workers=0", f"per_gpu={BILLION}", "gpus=text", "check=1e308", "check=inf",
        "backend=text", "backend=null", "backend=5", "backend=no.such.module", "backend=launch.workers.local",
        f"retry.error.tries={BILLION}", "retry.oom.mem=1e308", "retry.oom.pack=1e308",
    ),
    "slurm": (
        f"pack={BILLION}", f"chain={10**30}", f"parallel={10**30}", f"grace={BILLION}", "check=1e308",
        "backend=text", "backend=launch.slurm.options", f"retry.node.tries={BILLION}", "retry.oom.mem=1e308",
    ),
    "plan": (f"rows={10**30}", "check=1e308"),
}  # fmt: skip


@pytest.mark.parametrize(("launcher", "option"), [(name, option) for name in REFUSED for option in REFUSED[name]])
def test_an_option_is_refused_by_its_name(launcher: str, option: str, tmp_path: Path) -> None:
    (tmp_path / "out").touch()  # nothing can be begun there, should it not be refused
    key = f"hydra.launcher.{option.partition('=')[0]}"
    typed = ["-m", f"hydra/launcher={launcher}", f"hydra.launcher.{option}", "device=cpu", f"out={tmp_path}/out"]
    answer = start(typed)
    assert (answer.code, answer.warned) == (2, ())
    assert answer.said.startswith(f"error: {key}="), answer.said


def test_what_is_large_and_can_be_is_taken() -> None:
    assert retry_policy.read({"oom": {"tries": 1000, "mem": 1000}})["oom"].mem == 1000
    assert no_effect.read({"check": 86400}).seconds == 86400
