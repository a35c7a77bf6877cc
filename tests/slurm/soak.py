"""A soak: `cd tests && python -m slurm.soak --seed 1 --minutes 20 --summary FILE`.

A grid of small trials is submitted in waves to a cluster of its own, under a seeded stream of faults. When the time is
over everything is healed, and `ablation retry` is typed until all is done. Then each trial has to be done once and as
an undisturbed run does it, and nothing may be left over. The summary is written to FILE, the events beside it as
FILE.tsv. Needs root, and what `cluster.sh install` installs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from slurm import causes, leftovers
from slurm.cluster import Cluster
from slurm.faults import FAULTS
from slurm.shells import patient, wait_until
from slurm.soak_site import NODES, Site
from slurm.soak_summary import Soak, write

_PAUSE = 2.0, 8.0  # seconds between two faults
_WAVE = 240.0  # seconds between two waves
_FINISH = 900.0  # seconds in which all has to be done once the faults have ceased


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--minutes", type=float, default=20)
    asked.add_argument("--summary", type=Path, required=True)
    asked.add_argument("--keep", type=Path, help="a folder for logs and journals, to find out what happened")
    words = asked.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has it ignored, and so its children
    soak = run(words.seed, words.minutes, words.keep)
    write(soak, words.summary)
    print(words.summary.read_text())
    return 0 if soak.clean else 1


def run(seed: int, minutes: float, keep: Path | None = None) -> Soak:
    """The whole of it."""
    with site() as ground:
        soak = Soak(seed, minutes, ground, ground.slurm_version())
        try:
            _stream(soak)
            _heal(soak)
            soak.early = len(ground.trials()) - len(leftovers.undone(ground))
            soak.finished = _finish(soak)
            leftovers.inspect(soak)
            soak.causes += causes.wrong(ground, soak.events)
        finally:
            if keep:
                leftovers.keep(ground, keep)
        return soak


@contextmanager
def site() -> Iterator[Site]:
    """A cluster and disks that are gone afterwards."""
    folder = Path("/dev/shm") / f"soak-{os.getpid()}"
    cluster = Cluster(folder / "slurm")
    os.environ["SLURM_CONF"] = str(cluster.folder / "etc/slurm.conf")
    ground = Site(folder, cluster)
    try:
        cluster.script("up")
        ground.began = time.monotonic()
        yield ground
    finally:
        subprocess.run(["bash", str(cluster.SCRIPT), "purge"], env=cluster.env, timeout=120, check=False)
        for pid in ground.processes(f"BRAKE={ground.brake.parent}"):
            os.kill(pid, signal.SIGKILL)
        ground.clear()


def _stream(soak: Soak) -> None:
    """Faults until the time is over; the first when something is there to be hit."""
    draw, ground = Random(soak.seed), soak.site
    bag: list[int] = []
    _wave(soak)
    wait_until(lambda: bool(ground.trained()), 60)
    end = ground.clock() + soak.minutes * 60
    while ground.clock() < end:
        if ground.clock() >= ground.waves * _WAVE:
            _wave(soak)
        if not bag:  # every kind comes as often as its weight says, in an order of its own
            bag = [k for k, fault in enumerate(FAULTS) for _ in range(fault.weight)]
            draw.shuffle(bag)
        fault, own, pause = FAULTS[bag.pop()], Random(draw.random()), draw.uniform(*_PAUSE)
        soak.note(fault.name, fault.act(ground, own).strip())
        until = time.monotonic() + pause
        while time.monotonic() < until:
            for healed in ground.heal_due():
                soak.note("healed", healed)
            time.sleep(0.2)


def _wave(soak: Soak) -> None:
    soak.site.wave()
    soak.note("wave", f"{soak.site.waves}")


def _heal(soak: Soak) -> None:
    """The faults cease: everything is there again, and nobody is held up."""
    ground = soak.site
    for healed in ground.heal_due(every=True):
        soak.note("healed", healed)
    for name in ("munged", "slurmdbd", "slurmctld"):
        ground.daemon("start", name)
    for node in NODES:
        ground.daemon("start-node", node)
        patient(["scontrol", "update", f"NodeName={node}", "State=resume"])
    patient(["scontrol", "reconfigure"])  # after a crash the controller may believe in jobs that have no process
    for job in ground.jobs("SUSPENDED"):
        patient(["scontrol", "resume", job])
    for pid in ground.processes(f"BRAKE={ground.brake.parent}"):
        os.kill(pid, signal.SIGCONT)  # of a suspended job whose node was lost
    ground.brake.unlink()
    ground.shells.wait()
    soak.note("healed", "all")


def _finish(soak: Soak) -> float:
    """Seconds until all was done and the queue was empty; inf if that took too long."""
    ground, began = soak.site, soak.site.clock()

    def done() -> bool:
        return not leftovers.undone(ground)

    while not done():
        if ground.clock() - began > _FINISH:
            return float("inf")
        typed = ground.shells.ablation(*ground.verb("status", "--json"))
        if typed.code:
            ground.shells.ablation(*ground.verb("retry", "--json"))
            soak.retries += 1
        wait_until(done, 15)
    ground.shells.ablation(*ground.verb("watch"))
    ground.shells.ablation(*ground.verb("cancel", "--yes", "--json"))  # keepers that SLURM has put aside
    for job in ground.jobs("PENDING", keepers=True):  # that begin ten minutes after their submission
        patient(["scontrol", "update", f"JobId={job}", "StartTime=now"])
    wait_until(lambda: not ground.jobs() and not ground.jobs(keepers=True), 180)
    wait_until(lambda: not list(ground.processes(f"BRAKE={ground.brake.parent}")), 60)
    return ground.clock() - began


if __name__ == "__main__":
    sys.exit(main())
