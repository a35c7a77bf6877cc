"""The file that sbatch gets: every line of it, and what its shell does before Python. Needs no SLURM."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm.lab import options

from ablation.errors import AblationError
from launch.compose.paths import ROOT
from launch.slurm import sbatch
from launch.slurm.options import read

StandIn = Callable[[str, str], Path]
JOB = {"SLURM_JOB_ID": "8", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "SLURMD_NODENAME": "n9"}


@pytest.fixture
def jobs(tmp_path: Path, stand_in: StandIn) -> Path:
    """A folder of job files whose name is none for the faint, and an sbatch that accepts them."""
    stand_in("sbatch", "echo 7")
    stand_in("srun", 'while [ "${1#-}" != "$1" ]; do [ "$1" = --output ] && shift; shift; done; exec "$@"')
    folder = tmp_path / "it's 100%j [a,b] $HOME ü" / sbatch.JOBS
    folder.mkdir(parents=True)
    return folder


def submit(jobs: Path, *setup: str, flags: sbatch.Flags | None = None, cwd: Path | None = None, **more: object) -> Path:
    """The file of a job that says where it runs."""
    module = ["timeit", "-n1", "-r1", "import os; print('in', os.getcwd())"]
    given = {"array": "0-3%2"} if flags is None else flags
    (jobs / "code").mkdir(exist_ok=True)
    assert sbatch.submit(jobs, "nm", module, given, cwd=cwd or jobs, code=jobs / "code", setup=setup, **more) == "7"  # type: ignore[arg-type]
    (file,) = jobs.glob("*.sh")
    return file


def run(file: Path) -> subprocess.CompletedProcess[str]:
    """As SLURM would."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")} | JOB
    done = subprocess.run(["bash", str(file)], env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60)  # fmt: skip
    (file.parent / "7_2_log.out").write_text(done.stdout)
    return done


def test_every_line_that_submitit_writes(jobs: Path) -> None:
    """Fails with a release of submitit that writes something else: it needs a look before pyproject allows it."""
    asked = options(resources={"gpus": "fake:2", "exclusive": True, "container-image": "nvcr.io#nvidia/pytorch:24.01",
                               "container_mounts": "/a b:/c,/d"})  # fmt: skip
    chosen = read(asked)
    flags = {**chosen.flags(chosen.room), "array": "0-3%2", "signal": "USR2@120", "requeue": True}
    head, _, body = submit(jobs, flags=flags).read_text().partition("\n# setup\n")
    quoted = str(jobs.parent).replace("'", "'\"'\"'").replace("%", "%%")
    log = f"'{quoted}/jobs/%A_%a_log.out'"
    assert head.splitlines() == [
        "#!/bin/bash",
        "",
        "# Parameters",
        "#SBATCH --array=0-3%2",
        "#SBATCH --comment=nm",
        "#SBATCH --container-image='nvcr.io#nvidia/pytorch:24.01'",
        "#SBATCH --container-mounts='/a b:/c,/d'",
        "#SBATCH --cpus-per-task=1",
        "#SBATCH --exclusive",
        "#SBATCH --gpus-per-node=fake:2",
        "#SBATCH --job-name=nm",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        "#SBATCH --open-mode=append",
        f"#SBATCH --output={log}",
        "#SBATCH --requeue",
        "#SBATCH --signal=USR2@120",
    ]
    setup, _, command = body.partition("\n# command\n")
    assert "SBATCH" not in setup
    export, line = command.strip().splitlines()
    assert export == "export SUBMITIT_EXECUTOR=slurm"
    asked_of_srun, _, module = line.partition(f" {sys.executable} ")
    options_of_srun = f"--nodes=1 --ntasks=1 --open-mode=append '--output={log[1:]}"
    assert asked_of_srun.startswith("srun --unbuffered --output ")
    assert asked_of_srun.endswith(options_of_srun)
    assert module.startswith("-m timeit ")


def test_what_only_one_process_does_needs_no_srun(jobs: Path) -> None:
    text = submit(jobs, flags={}, srun=False).read_text()
    assert "srun" not in text.partition("# command")[2]
    assert "/%j_log.out'\n" in text


def test_a_job_says_which_python_it_is_and_runs_where_it_was_submitted(jobs: Path, tmp_path: Path) -> None:
    lines = ["x=1", "[ $x = 2 ] && echo never", "if false; then", "echo never", "fi", "false || true", "! true"]
    done = run(submit(jobs, *lines, cwd=tmp_path))
    first, second, *_ = done.stdout.splitlines()
    assert done.returncode == 0
    assert first == f"Python {sys.version.split()[0]}, {sys.executable}, on n9"
    assert second == f"in {tmp_path}"
    assert sbatch.read_failure(jobs.parent, "7_2") is None


def test_another_interpreter_may_be_asked_for(jobs: Path) -> None:
    done = run(submit(jobs, f"where={Path(sys.executable).parent}", python='env "A=b c" $where/python'))
    assert done.returncode == 0
    assert done.stdout.startswith(f'Python {sys.version.split()[0]}, env "A=b c" $where/python, on n9\nin ')


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("module load 'cuda \"12\"'", "module load 'cuda \"12\"': exit code 127 on n9"),
        ("broken() { false; return 3; }; broken", "return 3: exit code 3 on n9"),
        ("source /dev/stdin <<< 'false; (exit 4)'", "source /dev/stdin <<< 'false; (exit 4)': exit code 4 on n9"),
        ("false | cat; true && ( exit 5 )", "( exit 5 ): exit code 5 on n9"),
    ],
)
def test_a_line_of_the_setup_that_fails_ends_the_job(jobs: Path, line: str, said: str) -> None:
    done = run(submit(jobs, "echo before", "source /dev/stdin <<< 'false; true'", line, "echo after"))
    assert done.returncode == 1
    assert "before" in done.stdout
    assert "after" not in done.stdout
    failure = sbatch.read_failure(jobs.parent, "7_2")
    assert failure is not None
    cause, message = failure
    assert (cause, message.startswith(f"hydra.launcher.setup: {said}; correct it")) == ("config", True), message
    assert message.endswith(f"(log: {jobs / '7_2_log.out'})")
    assert f"error: hydra.launcher.setup: {said}" in done.stdout


def test_an_interpreter_that_is_gone_is_named_and_is_no_news_once_it_is_back(jobs: Path, tmp_path: Path) -> None:
    python = tmp_path / "moved venv" / "bin" / "python"
    file = submit(jobs, python=shlex.quote(str(python)))
    done = run(file)
    assert done.returncode == 1
    gone = f"hydra.launcher.python='{python}': does not run on n9 (No such file or directory); correct it"
    assert f"error: {gone}" in done.stdout
    failure = sbatch.read_failure(jobs.parent, "7_2")
    assert failure is not None
    assert (failure[0], failure[1].startswith(gone)) == ("config", True)
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert run(file).returncode == 0
    assert sbatch.read_failure(jobs.parent, "7_2") is None


def test_a_folder_that_is_gone_is_named_before_and_in_the_job(jobs: Path, tmp_path: Path) -> None:
    """SLURM starts such a job in /tmp."""
    (cwd := tmp_path / "my checkout").mkdir()
    file = submit(jobs, cwd=cwd)
    shutil.rmtree(cwd)
    done = run(file)
    assert (done.returncode, f"error: {cwd}: the folder in which this" in done.stdout) == (1, True)
    failure = sbatch.read_failure(jobs.parent, "7_2")
    assert failure is not None
    assert failure[0] == "node"
    file.unlink()
    with pytest.raises(AblationError, match=rf"^{cwd}: the folder .* is gone.*mkdir -p '{cwd}'\), or submit"):
        submit(jobs, cwd=cwd)
    assert not list(jobs.glob("*.sh"))


def test_frozen_code_that_is_gone_is_not_replaced_by_todays(jobs: Path) -> None:
    """Python would import what is installed in its place, and nobody would know."""
    file, code = submit(jobs), jobs / "code"
    code.rmdir()
    done = run(file)
    assert done.returncode == 1
    assert f"error: {code}: the code that this sweep was submitted with is not there on" in done.stdout
    assert "in " not in done.stdout.splitlines()
    file.unlink()
    with pytest.raises(AblationError, match=rf"^{re.escape(str(code))}: the code .* is gone; submit the sweep again"):
        sbatch.submit(jobs, "nm", ["timeit"], {}, cwd=jobs, code=code)


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("12345\n", "12345"),
        ("12345;hal\n", "12345"),
        ("Submitted batch job 12345\n", "12345"),
        ("Submitted batch job 12345 on cluster hal\n", "12345"),
        ("*** Job 1 of 3: budget 500 h ***\n12345\nthank you for job 9\n", "12345"),
    ],
)
def test_the_jobs_number_is_found_in_what_a_site_prints(
    jobs: Path, stand_in: StandIn, answer: str, number: str
) -> None:
    stand_in("sbatch", f"cat <<'X'\n{answer}X")
    assert sbatch.submit(jobs, "nm", ["timeit"], {}, cwd=jobs, code=jobs) == number


def test_an_answer_without_a_number_is_looked_up(jobs: Path, stand_in: StandIn) -> None:
    stand_in("sbatch", "echo 'sbatch: 2 jobs are waiting'")
    with pytest.raises(sbatch.PerhapsSubmitted, match="named no job: 'sbatch: 2 jobs are waiting'"):
        sbatch.submit(jobs, "nm", ["timeit"], {}, cwd=jobs, code=jobs)


@pytest.mark.parametrize("line", ["", "class SlurmExecutor:\n    def __init__(self, folder): pass\n"])
def test_a_submitit_that_writes_files_in_another_way_is_named(jobs: Path, tmp_path: Path, line: str) -> None:
    """As one that is too new would be."""
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "submitit.py").write_text(line)
    program = "import sys; from pathlib import Path; from launch.slurm import sbatch; here = Path(sys.argv[1])\n"
    program += "try: sbatch.submit(here, 'nm', ['timeit'], {}, cwd=here, code=here)\n"
    program += "except sbatch.AblationError as e: print(e)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "newer"), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", program, str(jobs)], env=env, capture_output=True, text=True, timeout=60
    )
    assert "does not write job files as it did" in done.stdout, done.stderr
    assert "pip install 'submitit>=" in done.stdout
