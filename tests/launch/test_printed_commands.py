"""Commands that are printed work as they stand there, typed into a shell, wherever `out` is."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from tiny import SMALL_MODEL, TINY

from ablation.track.ready import where_to_look
from launch.cli import main
from launch.compose import overrides
from launch.compose.paths import ROOT
from launch.compose.sbatch_options import translated
from launch.terminal.trial_progress import TrialLines

Capture = pytest.CaptureFixture[str]
NAMES = (
    "my runs", "it's", 'say "hi"', "a,b", "[x]", "$HOME", "ü", "back\\slash", "end\\", "#1", "a;b", "`t`", "(p)", "*",
    "k=v", "~t", "-dash", "!b", "100%", "{y}", "two  spaces", "trail ", "<o>", "a&b", "|",
)  # fmt: skip
ALL = 'it\'s a [x] $HOME, "q" ü #1 100%'


def words(line: str) -> list[str]:
    """What a shell makes of a line: the program's name, and what that is given."""
    programs = "".join(f"{name}() {{ printf '%s\\0' {name} \"$@\"; }}; " for name in ("python", "ablation", "mlflow"))
    done = subprocess.run(["sh", "-c", programs + line], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


@pytest.mark.parametrize("name", NAMES)
def test_a_shell_gives_hydra_what_was_meant(tmp_path: Path, name: str) -> None:
    out = str(tmp_path / name)
    typed = [f"out={overrides.quote_value(out)}", f"track.mlflow.uri={overrides.quote_value(f'sqlite:///{out}.db')}"]
    assert overrides.parsed(typed[0]).value() == out
    line = overrides.sweep_command(overrides.hide_from_hydra(typed), ["hydra.mode=MULTIRUN", "hydra/launcher=plan"])
    assert words(line) == ["python", "launch/run.py", "-m", *typed, "hydra/launcher=plan"]
    assert words(overrides.run_command(line)) == words(line)[:-1]
    assert words(overrides.arm_command(typed)) == ["python", "launch/run.py", *typed]
    assert words(where_to_look(f"sqlite:///{out}.db"))[-1] == f"sqlite:///{out}.db"
    (asked,) = translated("additional_parameters", {"comment": name})
    assert overrides.parsed(asked).value() == name


@pytest.mark.parametrize("name", NAMES)
def test_what_to_type_instead_of_what_hydra_cannot_read(tmp_path: Path, name: str) -> None:
    out = str(tmp_path / name)
    program, typed = words(f"python {overrides.suggest_override(f'out={out}').removeprefix('type ')}")
    assert (program, overrides.parsed(typed).value()) == ("python", out)


@pytest.mark.parametrize("name", NAMES)
def test_a_verb_finds_the_folder_that_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (tmp_path / name, Path(name)):
        program, *arguments = words(overrides.verb_command("status main", out))
        assert program == "ablation"
        assert main(arguments) != 0
        assert name in capsys.readouterr().err


def test_what_is_to_be_copied_is_in_one_piece(tmp_path: Path) -> None:
    for width in (60, 400):
        file, tracker = io.StringIO(), f"sqlite:///{tmp_path}/{ALL}.db"
        TrialLines("baseline", tmp_path / ALL, tracker, Console(file=file, width=width)).summary({}, {})
        (line,) = [text for text in file.getvalue().splitlines() if "compare" in text]
        assert words(line.strip("│ ").removeprefix("compare"))[-1] == tracker


def commands(printed: str) -> list[str]:
    """The lines to type that somebody was told."""
    inside = re.findall(r"`((?:ablation|python launch/run\.py) [^`\n]+)`|: (ablation .+)\)$", printed, re.MULTILINE)
    after = re.findall(r"(?:^|: {1,3}|  )((?:ablation|python launch/run\.py) .+?)(?:  # .*)?$", printed, re.MULTILINE)
    return list(dict.fromkeys([text for pair in inside for text in pair if text] + [t for t in after if t[-1] != ")"]))


@pytest.mark.slow
def test_every_line_that_is_printed_about_a_sweep_can_be_typed(tmp_path: Path) -> None:
    """Each is run; the programs are those of this environment."""
    out, brake = tmp_path / ALL, tmp_path / "brake" / "1"
    brake.parent.mkdir()
    brake.write_text("error")
    path = os.pathsep.join([str(ROOT / "tests" / "slurm"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": path}
    env |= {"BRAKE": str(brake.parent), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/{ALL}.db"}

    def typed(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-c", line], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)

    tiny = [text for text in TINY if text != "track=[]"]
    arms = [*tiny, *SMALL_MODEL, "+aug.brake._target_=brake.brake", f"out={overrides.quote_value(str(out))}"]
    sweep = overrides.sweep_command([*arms, "+aug.brake.arm=0,1"], [])
    to_type, typed_before = [sweep, f"{sweep} hydra/launcher=plan", f"{sweep} hydra/launcher=report"], set[str]()
    while to_type:
        line = to_type.pop(0)
        typed_before.add(line)
        if line.startswith("ablation retry"):
            brake.unlink()
        done = typed(line)
        assert done.returncode in (0, 1), f"{line}\n{done.stdout}{done.stderr}"
        assert "Traceback (most recent call last)" not in done.stderr
        to_type += [c for c in commands(done.stdout + done.stderr) if c not in {*typed_before, *to_type}]
        if line == sweep:
            to_type.append(overrides.verb_command("status main", out))
    verbs = {line.split()[1] for line in typed_before if line.startswith("ablation")}
    assert verbs >= {"logs", "retry", "status"}
    assert "2 trials: 2 done" in typed(overrides.verb_command("status main", out)).stdout
