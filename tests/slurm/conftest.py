"""A real SLURM for the session, on this machine: three nodes of four fake GPUs, accounts included."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from slurm.cluster import Cluster

NEEDS = "slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd", "sbatch"


@pytest.fixture(scope="session")
def slurm_installed() -> None:
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in NEEDS if not shutil.which(name, path=path)]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and, once, `bash tests/slurm/cluster.sh install` (missing: {', '.join(missing)})")


@contextmanager
def running(name: str, **settings: str) -> Iterator[Cluster]:
    """A cluster of its own."""
    with pytest.MonkeyPatch.context() as patch:
        cluster = Cluster(Path("/dev/shm") / f"slurm-{name}-{os.getpid()}", **settings)
        patch.setenv("SLURM_CONF", str(cluster.folder / "etc/slurm.conf"))
        try:
            cluster.script("up")
            yield cluster
        finally:
            subprocess.run(["bash", str(cluster.SCRIPT), "purge"], env=cluster.env, timeout=60, check=True)


@pytest.fixture(scope="session")
def session_cluster(slurm_installed: None) -> Iterator[Cluster]:
    with running("test") as cluster:
        yield cluster


@pytest.fixture
def cluster(session_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, empty before and after."""
    session_cluster.empty()
    yield session_cluster
    session_cluster.empty()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts a script in the place of a command; it finds the real one as $REAL, until its file is deleted."""
    folder, path = tmp_path / "bin", os.environ["PATH"]
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{path}")

    def make(command: str, script: str) -> Path:
        file = folder / command
        file.write_text(f"#!/bin/bash\nREAL={shutil.which(command, path=path)}\n{script}\n")
        file.chmod(0o755)
        return file

    return make
