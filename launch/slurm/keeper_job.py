"""`python -m launch.slurm.keeper_job SUBMISSION`: the keeper's job. It makes a round, then brings results to MLflow."""

from __future__ import annotations

import sys
from pathlib import Path

from ablation.errors import AblationError
from ablation.store import process
from launch.slurm import round
from launch.slurm.round import perform
from launch.sweep import submission, upload


def main(folder: Path) -> int:
    """Exit code 0 unless the round could not be made."""
    try:
        report = perform(folder, me=process.job())
        print("\n".join(round.report_lines(report)))
        code = 0
    except AblationError as e:
        print(f"error: {e}")
        code = 1
    for line in upload.upload_submission(submission.load(folder)):
        print(f"MLflow: {line}")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
