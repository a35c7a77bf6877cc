"""Makes `out.tar.xz`, a folder of runs as one version of the code leaves it: done, failed, interrupted, never started.

    python tests/launch/old/make.py CHECKOUT

CHECKOUT is a clean checkout of that version. Needs what tests/slurm needs, and takes some minutes.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import mkdtemp

TESTS = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from slurm.cluster import Cluster, until  # noqa: E402

from tests.launch.old.place import ARCHIVE, PLACE, SWEEPS, command, environment, rewrite  # noqa: E402

SLOW = "0.15"  # seconds a step takes of what is to be interrupted


class Lab:
    """A person's folder: the checkout, a trick of their own, and runs."""

    def __init__(self, checkout: Path) -> None:
        self.checkout, self.folder = checkout, Path(mkdtemp())
        self.out, self.brake = self.folder / "out", self.folder / "brake"
        for name in ("checkout", "own", "brake"):
            (self.folder / name).mkdir()
        shutil.copy(TESTS / "slurm/brake.py", self.folder / "own")
        self.env = environment(self.folder)

    def slow(self, sweep: str, seconds: str) -> None:
        """Hold its trainings back at each step."""
        (self.brake / str(list(SWEEPS).index(sweep))).write_text(seconds)

    def start(self, sweep: str) -> subprocess.Popen[bytes]:
        """Type its command."""
        path = os.pathsep.join([str(self.checkout), self.env["PYTHONPATH"]])
        line = [sys.executable, *command(sweep, self.out)]
        return subprocess.Popen(line, cwd=self.checkout, env={**self.env, "PYTHONPATH": path}, start_new_session=True)

    def arms(self, sweep: str) -> list[Path]:
        """The folders of a sweep's arms, in grid order; of single runs by name."""
        lists = sorted(self.out.glob(f".sweeps/{sweep}/*/arms.jsonl"))
        ids = [json.loads(line)["arm"]["id"] for path in lists for line in path.read_text().splitlines()]
        found = [p for p in self.out.glob("*/arm.json") if json.loads(p.read_text())["sweep"] == sweep]
        return [self.out / id_ for id_ in ids] or sorted(p.parent for p in found)

    def begun(self, sweep: str, number: int) -> None:
        """Wait for a checkpoint of the arm that comes at this place."""

        def there() -> bool:
            arms = self.arms(sweep)
            return len(arms) > number and any(arms[number].glob("seed-*/attempt-*/last.pt"))

        until(there, f"arm {number} of {sweep} to have a checkpoint")


def interrupted(lab: Lab, sweep: str, number: int) -> None:
    """Run it until this arm has a checkpoint; then Ctrl-C."""
    lab.slow(sweep, SLOW)
    with lab.start(sweep) as run:
        lab.begun(sweep, number)
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130


def cut_off(lab: Lab, sweep: str, number: int) -> None:
    """Likewise; then all its processes are gone at once."""
    lab.slow(sweep, SLOW)
    with lab.start(sweep) as run:
        lab.begun(sweep, number)
        for line in Path("/proc").glob("[0-9]*/cmdline"):  # workers lead sessions of their own
            if str(lab.out / ".sweeps" / sweep).encode() in line.read_bytes():
                os.kill(int(line.parent.name), signal.SIGKILL)
        run.kill()


def on_a_cluster(lab: Lab) -> Path:
    """Run the SLURM sweep until the third of four jobs, which run one by one, has a checkpoint; a copy made then."""
    lab.slow("slurm", SLOW)
    cluster = Cluster(Path("/dev/shm") / f"slurm-make-{os.getpid()}")
    lab.env["SLURM_CONF"] = str(cluster.folder / "etc/slurm.conf")
    copy = Path(mkdtemp()) / "lab"
    try:
        cluster.script("up")
        assert lab.start("slurm").wait(120) == 0
        lab.begun("slurm", 2)
        lab.slow("slurm", "60")
        shutil.copytree(lab.folder, copy, ignore=shutil.ignore_patterns("__pycache__", "brake", "*.lock"))
    finally:
        subprocess.run(["bash", str(cluster.SCRIPT), "purge"], env=cluster.env, timeout=60, check=True)
    return copy


def anonymous(lab: Lab, folder: Path) -> None:
    """Let nothing tell where, on which machine and by whom it was made."""
    boot, node = Path("/proc/sys/kernel/random/boot_id").read_text().strip(), platform.node()
    changes = {
        str(lab.folder): PLACE,
        str(lab.checkout): f"{PLACE}/checkout",
        sys.executable: f"{PLACE}/venv/bin/python",
        platform.platform(): "Linux",
        f'"host": "{node}"': '"host": "workstation"',
        f" on {node}": " on workstation",
        boot: "boot",
    }
    rewrite(folder, changes)
    files = [p for p in folder.rglob("*") if p.is_file() and ".code" not in p.parts]
    never = [*changes, str(Path.home()), sys.prefix, str(TESTS)]
    found = [(text, path) for path in files for text in never if text.encode() in path.read_bytes()]
    assert not found, found


def pack(folder: Path) -> None:
    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name, filter=plain)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size >> 10} kB")


def main(checkout: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and what they start
    lab = Lab(checkout.resolve())
    assert lab.start("single").wait(120) == 0
    interrupted(lab, "alone", 0)
    interrupted(lab, "main", 2)  # of four; the second fails
    interrupted(lab, "chain", 2)  # of three: a teacher, its student, and that one's
    cut_off(lab, "fused", 1)  # of two
    copy = on_a_cluster(lab)
    anonymous(lab, copy)
    pack(copy)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
