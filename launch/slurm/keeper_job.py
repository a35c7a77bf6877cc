"""The keeper's job, `python -m launch.slurm.keeper_job SUBMISSION`: it makes a round, then uploads to MLflow."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ablation.errors import AblationError
from ablation.store import process
from ablation.store.file_errors import in_words
from launch.slurm import backend, keeper
from launch.slurm.rounds import make_rounds, report_lines
from launch.sweep import submission
from launch.terminal.streams import outlive_output

_PAUSES = (30, 60, 120, 240, 480)  # seconds after which SLURM is asked again, if it does not answer


def main(folder: Path) -> int:
    """Exit code 0 unless the round could not be made."""
    try:
        made = submission.load(folder)
    except submission.Unreadable as e:
        print(f"error: {e}")
        return 1
    except AblationError as e:
        print(f"nothing to follow: {e}")
        return 0
    code = _round(made)
    for line in backend.upload(made):
        print(f"MLflow: {line}")
    return code


def _round(made: submission.Submission) -> int:
    """Make a round: now, or as soon as SLURM answers, and the disk takes it. Nobody else may come who would."""
    for pause in (*_PAUSES, None):
        try:
            for folder, report in make_rounds(made.folder, me=process.job()):
                print("\n".join(report_lines(report)), flush=True)
                if report.over and folder == made.folder:
                    keeper.dismiss(made, process.job())
        except (AblationError, OSError) as e:
            print(f"error: {in_words(e)}", flush=True)
        else:
            return 0
        if pause is not None:
            time.sleep(pause)
    return 1


if __name__ == "__main__":
    outlive_output(hang_up=False)
    sys.exit(main(Path(sys.argv[1])))
