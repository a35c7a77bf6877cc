"""The lines that people are told to type next."""

from __future__ import annotations

import shlex
from pathlib import Path

OUT = Path("results/runs")  # where verbs look unless they are told


def ablation(words: str, out: Path) -> str:
    """`ablation` with these words, and with the folder of the runs if it is not where verbs look by themselves."""
    out, here = out.resolve(), Path.cwd()
    if out == OUT.resolve():
        return f"ablation {words}"
    return f"ablation {words} --out {shlex.quote(str(out.relative_to(here) if out.is_relative_to(here) else out))}"
