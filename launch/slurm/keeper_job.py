"""The keeper's job, `python -m launch.slurm.keeper_job SUBMISSION`: it makes a round, then uploads to MLflow."""

from __future__ import annotations

import sys
from pathlib import Path

from ablation.errors import AblationError
from ablation.store import process
from launch.slurm.rounds import make_round, report_lines
from launch.sweep import submission, upload


def main(folder: Path) -> int:
    """Exit code 0 unless the round could not be made."""
    try:
        report = make_round(folder, me=process.job())
        print("\n".join(report_lines(report)))
        code = 0
    except AblationError as e:
        print(f"error: {e}")
        code = 1
    for line in upload.upload_submission(submission.load(folder)):
        print(f"MLflow: {line}")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
