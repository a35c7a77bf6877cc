"""Handing a job to SLURM: submitit writes the file, sbatch is called once, and its answer is never guessed at.

The job is a command that reads its part from the submission's files, not a pickle: nothing has to be moved into place
after sbatch has answered, so a job that was accepted runs even if we die before we hear of it. submitit's public way
submits pickles and moves them then; so only the method is used that writes the file, of the releases that pyproject
names. A test knows every line of it, and CI runs that with the newest release.

What goes wrong before Python runs, in the job's own shell, is told in its log and in a file beside it (`read_failure`).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from ablation.errors import AblationError, ConfigError
from ablation.store.atomic import write_atomic
from launch.slurm.options import Flags
from launch.sweep.submission import require_code

JOBS = "jobs"  # in a submission's folder: the files for sbatch, and the jobs' own logs
_TIMEOUT = 120  # seconds that sbatch may take
# Of an allocation that we may be in ourselves. They would be taken for the new job's.
_INHERITED_PREFIXES = ("SLURM_", "SBATCH_", "SRUN_", "SALLOC_", "PMIX_", "PMI_", "OMPI_", "SUBMITIT_")
_INHERITED_NAMES = frozenset(
    {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"}
    | {"CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES"}
)
_TO_REACH_SLURM = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_CLUSTERS"})  # squeue reads them too
_LIMIT_MESSAGES = (
    "job submit limit", "MaxSubmit", "GrpSubmit", "MaxJobCount", "temporarily unable to accept job",
    "Reached maximum number of jobs", "JobLimit",
)  # fmt: skip
_EXITED = re.compile(r"srun: error: \S+: task \d+: ")
_NUMBER = re.compile(r"(?:Submitted batch job )?(\d+)(?:;\S+| on cluster \S+)?")
_JOB = "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"  # as SLURM calls it


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
    python: str = "",
) -> str:
    """Submit `python -m module...`, run in `cwd` with the frozen code; returns SLURM's number of the job.

    The file and the job's log lie in `folder`. `python`: the shell's words that start the job's interpreter, if that is
    not this process's own.

    Raises:
        LimitReached: a limit on the number of jobs.
        PerhapsSubmitted: sbatch has been called; look the name up before trying again.
        AblationError: it could not be called; nothing was submitted.
    """
    _check_cwd(cwd)
    require_code(code)
    path = folder / f"{name}-{uuid4().hex[:6]}.sh"
    text = _text(folder, name, module, flags, cwd=cwd, code=code, setup=setup, srun=srun, python=python)
    write_atomic(path, text.encode())
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", str(path)],
            env=_environment(code),
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
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
    return _job_number(done.stdout)


def submitted_names(submission: Path) -> set[str]:
    """The names of all jobs that SLURM took of this submission: the files that it was given lie there."""
    return {path.stem.rpartition("-")[0] for path in (submission / JOBS).glob("*.sh")}


def log_file(folder: Path, job: str) -> Path:
    """The log of a job that was submitted with this folder."""
    return folder / f"{job}_log.out"


def read_failure(submission: Path, job: str) -> tuple[str, str] | None:
    """Cause and message of what kept a job of this submission from running Python at all; None if nothing did."""
    jobs = submission / JOBS
    try:
        cause, _, message = (jobs / f"{job}.error").read_text(errors="replace").partition("\n")
    except OSError:
        return None
    return cause, f"{message.strip()} (log: {log_file(jobs, job)})"


def last_words(submission: Path, job: str) -> str:
    """How the log of a job ends that left no other word, but for srun's "task 0: exited"; empty if it has none."""
    log = log_file(submission / JOBS, job)
    lines = [line.strip() for line in _log_lines(log) if line.strip()]
    own = [line for line in lines if not _EXITED.match(line)] or lines
    return f"its log ends with {own[-1][:200]!r} (log: {log})" if own else ""


def last_outcome(submission: Path, job: str, trial: str) -> str:
    """What a job of this submission printed last of a trial's end, such as `failed disk ...`; empty if it did not."""
    told = [line for line in _log_lines(log_file(submission / JOBS, job)) if line.startswith(f"{trial}: ")]
    return told[-1].removeprefix(f"{trial}: ") if told else ""


def _log_lines(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()
    except OSError:
        return []


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Without what an allocation or a launcher set, but for how SLURM is reached at all."""
    return {
        k: v
        for k, v in environ.items()
        if k in _TO_REACH_SLURM or not (k.startswith(_INHERITED_PREFIXES) or k in _INHERITED_NAMES)
    }


def check_out(out: Path) -> None:
    """Refuse a folder for runs in which SLURM cannot write its logs.

    Raises:
        ConfigError: so it is.
    """
    if {*str(out)} & {*"\\\n"}:
        raise ConfigError(f"out: SLURM writes no log below {str(out)!r}; give one without backslash or line break")


def _check_cwd(cwd: Path) -> None:
    if not cwd.is_dir():
        raise AblationError(
            f"{cwd}: the folder in which this sweep was submitted is gone, and its jobs run in it, since paths in "
            f"configurations may be relative to it; make it again (mkdir -p {shlex.quote(str(cwd))}), or submit the "
            "sweep again from another folder: what is done is kept"
        )


def _job_number(answer: str) -> str:
    """Of `123` or `123;cluster`, also if a site's sbatch greets before, or says `Submitted batch job 123`.

    Raises:
        PerhapsSubmitted: there is no number.
    """
    found = [match[1] for line in answer.splitlines() if (match := _NUMBER.fullmatch(line.strip()))]
    if not found:
        raise PerhapsSubmitted(f"sbatch named no job: {answer.strip()[-200:]!r}")
    return found[-1]


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
    python: str,
) -> str:
    """The sbatch file: one job of one process, whatever else is allocated. Logs of a requeued job are appended to."""
    log = log_file(Path(str(folder).replace("%", "%%")), "%A_%a" if "array" in flags else "%j")
    interpreter = python or shlex.quote(sys.executable)
    return _submitits_text(
        folder,
        f"{interpreter} -m {shlex.join(module)}",
        job_name=name,
        comment=name,
        time=None,  # submitit's defaults are no limits that a user has asked for
        wckey=None,
        setup=[
            *_setup(folder, cwd, code, setup),
            f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}",
            "export PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1",
            # Since 22.05 srun does not take it from the job.
            '[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK',
            *_check_interpreter(interpreter, chosen=bool(python)),
        ],
        stderr_to_stdout=True,
        use_srun=srun,
        # Left to itself srun starts a task for each core of a node that is not shared or has two threads a core.
        srun_args=["--nodes=1", "--ntasks=1", "--open-mode=append", f"--output={log}"],
        additional_parameters={"ntasks": 1, "output": str(log), **flags},
    )


def _setup(folder: Path, cwd: Path, code: Path, lines: Sequence[str]) -> list[str]:
    """Shell lines: into the folder of the submission, then a user's setup, none of which may fail unnoticed.

    Where the folder is gone SLURM itself starts the job in /tmp.
    """
    gone = f"{cwd}: the folder in which this sweep was submitted is not there on"
    lost = f"{code}: the code that this sweep was submitted with is not there on"
    start = [
        f'failure={shlex.quote(str(folder))}/{_JOB}.error && rm -f "$failure"',
        'give_up() { echo "error: $2"; printf "%s\\n%s\\n" "$1" "$2" > "$failure"; exit 1; }',
        f'cd -- {shlex.quote(str(cwd))} || give_up node {shlex.quote(gone)}" $SLURMD_NODENAME"',
        f'[ -d {shlex.quote(str(code))} ] || give_up node {shlex.quote(lost)}" $SLURMD_NODENAME"',
    ]
    if not lines:
        return start
    way_out = "correct it and submit again, or let the line end with || true if that does not matter"
    return [
        *start,
        "setup_failed() {",
        "  [ $3 -gt 1 ] && return  # in a script that a line sources: only how that ends counts",
        f'  give_up config "hydra.launcher.setup: $2: exit code $1 on $SLURMD_NODENAME; {way_out}"',
        "}",
        "trap 'setup_failed $? \"$BASH_COMMAND\" ${#BASH_SOURCE[@]}' ERR",
        *lines,
        "trap - ERR",
    ]


def _check_interpreter(python: str, chosen: bool) -> list[str]:
    """Shell lines: say which interpreter it is, or that it does not run. `chosen`: by hydra.launcher.python."""
    again = "`ablation retry`, typed in the environment as it is now, runs the trials with that one"
    cause, gone = "node", f"{python}: the interpreter of this job does not run on"
    if chosen:
        cause, gone = "config", f"hydra.launcher.python={python}: does not run on"
        again = "correct it, and submit the sweep again"
    return [
        f"version=$({python} --version 2>&1) ||",
        f'  give_up {cause} {shlex.quote(gone)}" $SLURMD_NODENAME (${{version##*: line *: }}); "{shlex.quote(again)}',
        f'echo "$version, "{shlex.quote(python)}", on $SLURMD_NODENAME"',
    ]


def _submitits_text(folder: Path, command: str, **parameters: Any) -> str:
    """What submitit writes for a command.

    Raises:
        AblationError: this submitit is none that we know.
    """
    try:
        from submitit import SlurmExecutor

        class Writer(SlurmExecutor):
            """Knows of no SLURM: sbatch will tell."""

            @classmethod
            def affinity(cls) -> int:
                return 1

        writer = Writer(folder)
        writer.update_parameters(**parameters)
        return writer._make_submission_file_text(command, "")
    except (ImportError, AttributeError, TypeError, ValueError) as e:
        raise AblationError(
            f"submitit {version('submitit')} does not write job files as it did ({type(e).__name__}: {e}); "
            "install one of the releases that pyproject.toml names: pip install 'submitit>=1.5.2,<1.6'"
        ) from e
