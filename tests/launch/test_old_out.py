"""A folder of runs made by an earlier version goes on working, by the commands that a user types.

What is in it, and how it was made, is said in tests/launch/old.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.launch.old.lab import FROZEN, ROOT, Lab, epochs, results, saved, starts
from tests.launch.old.place import ARCHIVE, PLACE, environment

# Of each sweep, in the order of the arms: the trials' states.
STATES = {
    "main": ["done", "failed", "stopped", "new"],
    "chain": ["done", "done", "stopped"],
    "fused": ["done", "done", "stopped", "stopped"],
}
# A module of the user's own, in configurations of which the ids are known.
HERS = """
def shade(by):
    return lambda batch, key: batch._replace(x=batch.x * by)

def sharp(power):
    return lambda given: -(given.batch.y * given.logits.log_softmax(1)).sum(1).mean() * power
"""
IDS: dict[str, str] = yaml.safe_load(ARCHIVE.with_name("ids.yaml").read_text())


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """For what changes nothing in it."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    before = results(lab.out)
    yield lab
    assert results(lab.out) == before


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab")


def test_the_archive_names_no_place_but_its_own() -> None:
    named = set()
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            text = member.isfile() and ".code/" not in member.name and not member.name.endswith(".pt")
            if text and (file := archive.extractfile(member)):
                named |= set(re.findall(rb"(?<![\w.}])/[a-z]+/[\w.-]+(?:/\w+)?", file.read()))
    assert named == {PLACE.encode(), b"/bin/bash"}


@pytest.mark.parametrize("sweep", STATES)
def test_status_tells_how_each_trial_stands(looked_at: Lab, sweep: str) -> None:
    code, told = looked_at.verb("status", sweep)
    assert code == 1
    assert [t["state"] for t in told["trials"]] == STATES[sweep]
    done = [t for t in told["trials"] if t["state"] == "done"]
    assert {t["test_acc"] for t in done} == {
        json.loads((looked_at.out / t["id"] / f"seed-{t['seed']}/result.json").read_text())["test_acc"] for t in done
    }
    assert not told["trouble"]


def test_watch_ends_where_nothing_is_in_flight(looked_at: Lab) -> None:
    code, told = looked_at.verb("watch", "main")
    assert (code, [t["state"] for t in told["trials"]]) == (1, STATES["main"])


def test_explain_knows_a_student_and_finds_its_settings_current(looked_at: Lab) -> None:
    id_ = looked_at.folders("chain")[-1].parent.name
    code, told = looked_at.verb("explain", id_)
    assert (code, told["id"], told["stale"]) == (0, id_, None)


def test_logs_tell_what_failed_and_what_happened(looked_at: Lab) -> None:
    (group,) = looked_at.verb("logs", "main", "--failed")[1]["groups"]
    assert (group["cause"], len(group["trials"])) == ("diverged", 1)
    (trial,) = looked_at.verb("logs", looked_at.folders("main")[2].parent.name)[1]["trials"]
    assert trial["state"] == "stopped"
    assert any("epoch 1" in line for line in trial["story"]), trial["story"]
    assert all(Path(path).is_file() for path in trial["logs"])


@pytest.mark.slow
def test_retry_trains_what_is_missing_by_the_frozen_code(lab: Lab) -> None:
    before, seeds = results(lab.out), lab.folders("main")
    step = saved(seeds[2])
    code, told = lab.verb("retry", "main")
    assert (code, len(told["retried"])) == (1, 3), told
    assert lab.states("main") == ["done", "failed", "done", "done"]
    assert [starts(seed) for seed in seeds] == [[0], [0, 0], [0, step], [0]]
    assert results(lab.out).items() >= before.items()
    assert [epochs(seed) for seed in seeds if (seed / "result.json").exists()] == [3, 3, 3]
    assert FROZEN in lab.logs("main")
    assert lab.reported() == [["0"], [], ["0"], ["0"]], "the first was uploaded then, the others now"


def test_what_is_cancelled_is_tried_again_with_its_teacher(lab: Lab) -> None:
    before, seeds = results(lab.out), lab.folders("chain")
    step = saved(seeds[2])
    lab.verb("cancel", "chain")
    assert lab.states("chain") == ["done", "done", "cancelled"]
    assert lab.verb("retry", "chain")[0] == 0
    assert [starts(seed) for seed in seeds] == [[0], [0], [0, step]]
    assert results(lab.out).items() >= before.items()
    assert FROZEN in lab.logs("chain")


def test_fused_seeds_that_a_power_cut_has_ended_go_on_together(lab: Lab) -> None:
    before, seeds = results(lab.out), lab.folders("fused")
    step = saved(seeds[2])
    assert lab.verb("retry", "fused")[0] == 0
    assert [starts(seed) for seed in seeds] == [[0], [0], [0, step], [0, step]]
    assert results(lab.out).items() >= before.items()


@pytest.mark.slow
def test_the_same_grid_again_knows_its_trials(lab: Lab) -> None:
    """By today's code, which has to give the same ids and to read the checkpoint."""
    before, seeds = results(lab.out), lab.folders("main")
    step = saved(seeds[2])
    done = lab.again("main")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 4 trials are done already" in done.stdout
    assert lab.folders("main") == seeds
    assert lab.states("main") == ["done", "failed", "done", "done"]
    assert [starts(seed) for seed in seeds] == [[0], [0, 0], [0, step], [0]]
    assert results(lab.out).items() >= before.items()
    assert FROZEN not in lab.logs("main")
    told = lab.by_frozen_code("status", "main")
    assert (told["submissions"], told["trouble"]) == ([1, 2], []), "the code of then reads what today's has written"
    assert [t["state"] for t in told["trials"]] == ["done", "failed", "done", "done"]


@pytest.mark.slow
def test_single_runs_go_on_or_are_known_as_done(lab: Lab) -> None:
    before = results(lab.out)
    (seed,) = lab.folders("alone")
    step = saved(seed)
    done = lab.again("alone")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (starts(seed), epochs(seed)) == ([0, step], 3)
    (seed,) = lab.folders("single")
    assert lab.again("single").returncode == 0
    assert starts(seed) == [0]
    assert results(lab.out).items() >= before.items()


def test_configurations_of_many_kinds_keep_their_ids(tmp_path: Path) -> None:
    (tmp_path / "hers.py").write_text(HERS)
    rows = ",".join(f'"{typed}"' for typed in IDS)
    line = ["launch/run.py", "-m", "hydra/launcher=plan", "--json", f"hydra.sweeper.rows=[{rows}]", f"out={tmp_path}"]
    env = {**environment(tmp_path), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, *line], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    arms = json.loads(done.stdout)["arms"]
    typed = {" ".join(text for text in arm["overrides"] if not text.startswith("out=")): arm["id"] for arm in arms}
    assert {row: typed.get(row) for row in IDS} == IDS
