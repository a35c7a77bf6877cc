"""Handing a job to SLURM: submitit writes the file, sbatch is called once, and its answer is never guessed at.

The job is a command that reads its part from the submission's files, not a pickle: nothing has to be moved into place
after sbatch has answered, so a job that was accepted runs even if we die before we hear of it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from submitit import SlurmExecutor

from ablation.errors import AblationError
from launch.slurm.options import Flags

_TIMEOUT = 120  # seconds that sbatch may take
# Of an allocation that we may be in ourselves. They would be taken for the new job's.
_INHERITED_PREFIXES = ("SLURM_", "SBATCH_", "SRUN_", "SALLOC_", "PMIX_", "PMI_", "OMPI_", "SUBMITIT_")
_INHERITED_NAMES = frozenset(
    {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"}
    | {"CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES"}
)
_LIMIT_MESSAGES = (
    "job submit limit", "MaxSubmit", "GrpSubmit", "MaxJobCount", "temporarily unable to accept job",
    "Reached maximum number of jobs", "JobLimit",
)  # fmt: skip


class LimitReached(AblationError):
    """SLURM takes no more jobs, or not so many, for now."""


class PerhapsSubmitted(AblationError):
    """sbatch failed or did not answer, which does not mean that it was not accepted."""


def submit(
    folder: Path,
    name: str,
    module: Sequence[str],
    flags: Flags,
    *,
    cwd: Path,
    code: Path,
    setup: Sequence[str] = (),
    srun: bool = True,
) -> str:
    """Submit `python -m module...`, run in `cwd` with the frozen code; returns SLURM's number of the job.

    Raises:
        LimitReached: a limit on the number of jobs.
        PerhapsSubmitted: anything else; look the name up before trying again.
    """
    path = folder / f"{name}-{uuid4().hex[:6]}.sh"
    path.write_text(_text(folder, name, module, flags, cwd=cwd, code=code, setup=setup, srun=srun))
    try:
        done = subprocess.run(
            ["sbatch", str(path)],
            env=_environment(code),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
    except OSError as e:
        raise AblationError(f"cannot call sbatch: {e}; run this where SLURM's commands are") from e
    except subprocess.TimeoutExpired as e:
        raise PerhapsSubmitted(f"sbatch did not answer within {_TIMEOUT} s") from e
    message = "; ".join(
        line.removeprefix("sbatch: error: ") for line in map(str.strip, done.stderr.splitlines()) if line
    )
    if done.returncode:
        path.unlink()  # nobody will read it
        raise (
            LimitReached(message)
            if any(limit in message for limit in _LIMIT_MESSAGES)
            else PerhapsSubmitted(message or f"sbatch: exit code {done.returncode}")
        )
    return _Writer._get_job_id_from_submission_command(done.stdout)


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what an allocation or a launcher set; SLURM_CONF is how SLURM is reached at all."""
    return {
        k: v
        for k, v in environ.items()
        if k == "SLURM_CONF" or not (k.startswith(_INHERITED_PREFIXES) or k in _INHERITED_NAMES)
    }


def _environment(code: Path) -> dict[str, str]:
    """For sbatch, which passes it on to the job. The job puts the frozen code before what is on PYTHONPATH."""
    clean = clean_environment(os.environ)
    paths = [p for p in clean.pop("PYTHONPATH", "").split(os.pathsep) if p and Path(p) != code]
    return {**clean, **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})}


def _text(
    folder: Path,
    name: str,
    module: Sequence[str],
    flags: Flags,
    *,
    cwd: Path,
    code: Path,
    setup: Sequence[str],
    srun: bool,
) -> str:
    """The sbatch file. Logs of a job that is requeued are appended to."""
    writer = _Writer(folder)
    parameters: dict[str, Any] = {
        "job_name": name,
        "comment": name,
        "time": None,  # submitit's defaults are no limits that a user has asked for
        "wckey": None,
        "setup": [
            *setup,
            f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}",
            "export PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1",
            # Since 22.05 srun does not take it from the job.
            '[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK',
        ],
        "stderr_to_stdout": True,
        "use_srun": srun,
        "additional_parameters": {"chdir": str(cwd), **flags},
    }
    writer.update_parameters(**parameters)
    return writer.text(shlex.join([sys.executable, "-m", *module]))


class _Writer(SlurmExecutor):
    """submitit's sbatch file for a command of ours."""

    def text(self, command: str) -> str:
        return self._make_submission_file_text(command, "")
