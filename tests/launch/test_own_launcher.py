"""The launcher of docs/own_launcher.md, outside the checkout: every verb works on what it has begun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pages
import pytest
from tiny import SMALL_MODEL, TINY

from ablation.errors import ConfigError
from launch.workers import local

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_a_yaml_and_a_module(tmp_path: Path) -> None:
    (tmp_path / "conf/hydra/launcher").mkdir(parents=True)
    (tmp_path / "conf/hydra/launcher/drawer.yaml").write_text(pages.code("own_launcher.md", "yaml")[0])
    (tmp_path / "desk_drawer.py").write_text(pages.code("own_launcher.md", "python")[0])
    out = f"out={tmp_path / 'out'}"

    def call(*line: str, code: int = 0) -> str:
        env = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, *line], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def ask(verb: str, code: int = 0) -> dict[str, object]:
        answer: dict[str, object] = json.loads(
            call("-m", "launch", verb, "--out", str(tmp_path / "out"), "--json", code=code)
        )
        return answer

    search = f"hydra.searchpath=[file://{tmp_path}/conf]"
    said = call("launch/run.py", "-m", "hydra/launcher=drawer", search, *TINY, *SMALL_MODEL, "optim.lr=0.1,0.2", out)
    assert "put into the top drawer" in said
    status = ask("status")
    assert (status["totals"], status["trouble"]) == ({"queued": 2}, ["somebody has to open the drawer"])
    said = call("-m", "launch", "cancel", "--out", str(tmp_path / "out"))
    assert said.splitlines()[1:] == ["taken back: drawer"], "no word of SLURM"
    assert ask("cancel")["jobs"] == [], "nothing is left in the drawer"
    assert ask("status", code=1)["totals"] == {"cancelled": 2}
    assert len(ask("retry")["outcomes"]) == 2  # type: ignore[arg-type]
    assert ask("watch")["totals"] == {"done": 2}


def test_a_yaml_without_the_options_of_the_workers_it_uses_is_told_how_to_get_them() -> None:
    with pytest.raises(ConfigError, match=r"hydra.launcher.retry, .*workers: missing.*defaults list with `local`"):
        local.run([], {"run": "mine.run", "backend": "launch.workers.backend"}, "launch/run.py -m")
