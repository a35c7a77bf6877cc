"""An old folder of runs: the commands that made it, and unpacking it elsewhere though its files say where it lies."""

from __future__ import annotations

import os
import sqlite3
import tarfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

ARCHIVE = Path(__file__).with_name("out.tar.xz")
PLACE = "/home/somebody/lab"  # where the archive's files say that they lie
_SMALL = (
    "data.subset=200", "data.test_subset=100", "batch_size=40", "epochs=3", "precision=fp32", "device=cpu",
    "checkpoint.seconds=0", "model.depth=8", "model.width=0.25",
)  # fmt: skip
_LOCAL = ("-m", "hydra.launcher.check=false", "hydra.launcher.workers=1")
_SLURM = ("-m", "hydra/launcher=slurm", "hydra.launcher.resources.cpus=1", "hydra.launcher.parallel=1")
_RATES = "optim.lr=0.1,1e30,0.2,0.3"
SWEEPS = {  # and single runs
    "main": (*_LOCAL, _RATES),
    "chain": (*_LOCAL, "loss=distill", "teacher=same", "rounds=2", "track=[]"),
    "fused": (*_LOCAL, "fuse=true", "seeds=2", "optim.lr=0.1,0.2", "track=[]"),
    "single": ("regularizer=ema", "regularizer.ema.decay=0.9"),
    "alone": ("aug=cutout", "track=[]"),
    "slurm": (*_SLURM, _RATES, "track=[]"),
}


def command(sweep: str, out: Path) -> list[str]:
    """What was typed; a trick of one's own holds each training back while a test wants it to."""
    trick = f"+aug.brake={{_target_: brake.brake, arm: {list(SWEEPS).index(sweep)}}}"
    return ["launch/run.py", *_SMALL, *SWEEPS[sweep], trick, f"sweep={sweep}", f"out={out}"]


def environment(lab: Path) -> dict[str, str]:
    """Of whoever works in this folder."""
    told = {"PYTHONPATH": str(lab / "own"), "BRAKE": str(lab / "brake"), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **told, "MLFLOW_TRACKING_URI": f"sqlite:///{lab}/mlflow.db"}


def rewrite(folder: Path, changes: Mapping[str, str]) -> None:
    """Change these texts in all files but frozen code and checkpoints, which name no place; times stay as they are."""
    for path in [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pt" and ".code" not in p.parts]:
        stat = path.stat()
        if path.suffix == ".db":
            _rewrite_tables(path, changes)
        else:
            content = path.read_bytes()
            for old, new in changes.items():
                content = content.replace(old.encode(), new.encode())
            path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _rewrite_tables(path: Path, changes: Mapping[str, str]) -> None:
    with closing(sqlite3.connect(path)) as base:
        for (table,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for column in [row[1] for row in base.execute(f"PRAGMA table_info({table})")]:
                for old, new in changes.items():
                    there = f"typeof({column}) = 'text' AND instr({column}, ?)"
                    base.execute(
                        f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE {there}", (old, new, old)
                    )
        base.commit()
        base.execute("VACUUM")


def unpack(lab: Path) -> Path:
    """The archive, moved into this folder; returns the folder of runs in it."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(lab, filter="data")
    rewrite(lab, {PLACE: str(lab)})
    return lab / "out"
