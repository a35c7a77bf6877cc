"""Bring run folders to MLflow that were never, or not wholly, uploaded. Run it as often as you like.

Exit code: 0 all is uploaded, 1 something is not (and why), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from ablation.errors import AblationError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_CONF = Path(__file__).parents[1] / "conf" / "track" / "mlflow.yaml"


@dataclass(frozen=True)
class Outcome:
    """What became of one trial: points uploaded now, or the error."""

    trial: str  # <id>/seed-K
    points: int = 0
    error: str = ""

    def __str__(self) -> str:
        return f"{self.trial}: {self.error or f'{self.points} points'}"


def sync(out: Path, uri: str) -> Iterator[Outcome]:
    """Upload what the tracker lacks of every trial under `out`, one after the other.

    Raises:
        AblationError: the tracker cannot be reached.
    """
    client = _reach(uri)
    for folder in sorted({journal.parents[1] for journal in out.glob("*/seed-*/attempt-*/journal.jsonl")}):
        outcome = _upload(client, folder)
        yield outcome
        if outcome.error:
            _reach(uri)  # if the tracker is gone, say so at once instead of waiting for it at every trial


def _reach(uri: str) -> MlflowClient:
    from ablation.track.client import connect  # MLflow takes more than a second: `--help` and typos need not wait

    try:
        return connect(uri)
    except Exception as e:
        raise AblationError(
            f"cannot reach MLflow at {uri}: {_line(e)}; the run folders are safe, try again later"
        ) from e


def _upload(client: MlflowClient, folder: Path) -> Outcome:
    from ablation.track.upload import upload

    trial = f"{folder.parent.name}/{folder.name}"
    try:
        return Outcome(trial, points=upload(client, folder))
    except Exception as e:  # one broken folder must not keep the others from being uploaded
        return Outcome(trial, error=_line(e))


def _line(e: Exception) -> str:
    return f"{type(e).__name__}: {' '.join(str(e).split())[:300]}"


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m launch.sync", description=__doc__)
    parser.add_argument(
        "out", nargs="?", type=Path, default=Path("results/runs"), metavar="OUT", help="default %(default)s"
    )
    parser.add_argument("--uri", default=OmegaConf.load(_CONF).mlflow.uri, help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    arguments = parser.parse_args(argv)
    if not arguments.out.is_dir():
        parser.error(f"{arguments.out}: no such folder")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = _arguments(argv)
    outcomes: list[Outcome] = []
    trouble = ""
    try:
        for outcome in sync(arguments.out, arguments.uri):
            outcomes.append(outcome)
            if not arguments.json:
                print(outcome)
    except AblationError as e:
        trouble = str(e)
    points = sum(o.points for o in outcomes)
    if arguments.json:
        print(json.dumps({"points": points, "error": trouble, "trials": [asdict(o) for o in outcomes]}))
    else:
        print(f"{points} points of {len(outcomes)} trials uploaded to {arguments.uri}")
    if trouble:
        print(trouble, file=sys.stderr)
    return 1 if trouble or any(o.error for o in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
