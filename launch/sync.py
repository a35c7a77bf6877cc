"""Bring run folders to MLflow that were never, or not wholly, uploaded. Run it as often as you like.

Exit code: 0 all is uploaded, 1 something is not (and why), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
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


def sync(out: Path, uri: str, folders: Iterable[Path] | None = None) -> Iterator[Outcome]:
    """Upload what the tracker lacks of every trial under `out`, or of these seeds' folders, one after the other.

    Raises:
        AblationError: the tracker cannot be reached.
    """
    client = _reach(uri)
    begun = (
        {journal.parents[1] for journal in out.glob("*/seed-*/attempt-*/journal.jsonl")} if folders is None else folders
    )
    for folder in sorted(begun):
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


def default_uri() -> str:
    """Where trials are recorded unless they say otherwise."""
    return str(OmegaConf.load(_CONF).mlflow.uri)


def report(outcomes: Iterable[Outcome], uri: str, as_json: bool) -> int:
    """Print what becomes of each trial as it becomes known; returns the exit code."""
    known: list[Outcome] = []
    trouble = ""
    try:
        for outcome in outcomes:
            known.append(outcome)
            if not as_json:
                print(outcome)
    except AblationError as e:
        trouble = str(e)
    points = sum(o.points for o in known)
    if as_json:
        print(json.dumps({"points": points, "error": trouble, "trials": [asdict(o) for o in known]}))
    else:
        print(f"{points} points of {len(known)} trials uploaded to {uri}")
    if trouble:
        print(trouble, file=sys.stderr)
    return 1 if trouble or any(o.error for o in known) else 0


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m launch.sync", description=__doc__)
    parser.add_argument(
        "out", nargs="?", type=Path, default=Path("results/runs"), metavar="OUT", help="default %(default)s"
    )
    parser.add_argument("--uri", default=default_uri(), help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    arguments = parser.parse_args(argv)
    if not arguments.out.is_dir():
        parser.error(f"{arguments.out}: no such folder")
    return report(sync(arguments.out, arguments.uri), arguments.uri, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
