"""The launcher's options: what is refused, what sbatch is asked for, how works are cut. Needs no SLURM."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from slurm.lab import options

from ablation.errors import AblationError, ConfigError
from launch.compose.arm import Work
from launch.compose.sbatch_options import mebibytes, seconds
from launch.slurm import backend, rounds
from launch.slurm.job import slots
from launch.slurm.job_batches import draft_arrays
from launch.slurm.jobs import _tasks
from launch.slurm.options import read
from launch.slurm.rounds import RoundReport
from launch.slurm.sbatch import clean_environment
from launch.status.retry_policy import Resources


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"pak": 2}, "hydra.launcher.pak: no such option; did you mean pack?"),
        ({"_pack": 2}, "hydra.launcher._pack: no such option; did you mean pack?"),
        ({"check": "maybe"}, "hydra.launcher.check=maybe: give auto, true, false, strict"),
        ({"setup": "module load cuda"}, "hydra.launcher.setup=module load cuda: give a list of shell lines"),
        ({"python": " "}, "hydra.launcher.python=' ': give a command such as /path/to/venv/bin/python"),
        ({"pack": 0}, "hydra.launcher.pack=0: give a whole number of at least 1"),
        ({"wait": "yes"}, "hydra.launcher.wait=yes: give true or false"),
        ({"resources": {"array": "0-3"}}, "resources.array: is set by the launcher"),
        ({"resources": {"a b": 1}}, "plain name"),
        ({"resources": {"mem": "lots"}}, "resources.mem='lots': should be a size"),
        ({"resources": {"licenses": ["a"]}}, "should be one value"),
        ({"resources": {"time": "soon"}}, "resources.time='soon': should be a time"),
        ({"resources": {"time": 2}}, "is over before training gets anywhere"),
        ({"keeper_resources": {"wrap": "x"}}, "keeper_resources.wrap: is set by the launcher"),
        ({"resources": {"acount": "a"}}, "resources.acount: no such option of sbatch; did you mean account?"),
        ({"keeper_resources": {"tme": 5}}, "keeper_resources.tme: no such option of sbatch; did you mean time?"),
        ({"resources": {"gpu": 1}}, "resources.gpu: no such option of sbatch; did you mean gpus?"),
        ({"resources": {"gpus_per_nodes": 1}}, "did you mean gpus-per-node?"),
        ({"resources": {"account": 1.1}}, "resources.account=1.1: is a text to SLURM"),
        ({"keeper_resources": {"cpus": 0}}, "keeper_resources.cpus=0: should be a whole number of 1 or more"),
        ({"retry": {"oomm": {}}}, "retry.oomm: no such cause"),
    ],
)
def test_mistakes_are_refused_by_key_and_value(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(options(**changes))
    assert says in str(refused.value)


def test_whatever_sbatch_takes_can_be_asked_for() -> None:
    chosen = read(
        options(resources={"gpus": "a100:2", "mem": "8G", "reservation": "r", "exclude": "n9", "exclusive": True})
    )
    assert chosen.flags(Resources(1, 16384, ("n1", "n2"))) == {
        "gpus-per-node": "a100:2", "cpus-per-task": 1, "mem": "16384M", "reservation": "r", "exclusive": True,
        "exclude": "n9,n1,n2",
    }  # fmt: skip
    assert chosen.devices == 2
    assert chosen.flags(chosen.room)["mem"] == "8G"
    per_core = read(options(resources={"mem-per-cpu": "2G"}))
    assert per_core.flags(per_core.room)["mem-per-cpu"] == "2G"
    assert "mem-per-cpu" not in per_core.flags(Resources(1, 16384)), "sbatch takes one of them"
    for asked in ({"gpus": "a100:2"}, {"gpus": 0, "gres": "gpu:1"}, {"gpus": None, "gpus-per-task": 1}):
        assert read(options(resources=asked)).gpu
    none = read(options(resources={"gpus": 0, "partition": "p"}))
    assert not none.gpu
    assert none.flags(none.room) == {"cpus-per-task": 1, "partition": "p"}
    assert none.keeper_flags() == {"cpus-per-task": 1, "mem": "2G", "time": 60, "partition": "p"}
    assert read(options(resources={"time": "5:59"})).keeper_flags()["time"] == 5
    assert read(options(resources={"time": 5}, keeper_resources={"time": 20})).keeper_flags()["time"] == 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [(90, 5400), ("90:30", 5430), ("4:00:00", 14400), ("1-12", 129600), ("1-0:30", 88200), ("2-1:02:03", 176523)],
)
def test_times(text: Any, expected: int) -> None:
    assert seconds("time", text) == expected


@pytest.mark.parametrize(
    "value",
    [
        "soon",
        "",
        -5,
        "-5",
        "4:",
        ":30",
        "1:2:3:4",
        "1-",
        "-12",
        "1-2-3",
        1e3,
        "1e3",
        "4h",
        True,
        "²",
        "1_000",
        "4:00.5",
    ],
)
@pytest.mark.parametrize("key", ["resources.time", "keeper_resources.time", "keeper_resources.time_min"])
def test_no_times(key: str, value: Any) -> None:
    node, _, name = key.partition(".")
    with pytest.raises(ConfigError, match=rf"^hydra\.launcher\.{key}=.*: (should be a time such as|is a truth value)"):
        read(options(**{node: {name: value}}))


@pytest.mark.parametrize("value", ["lots", "8 G B", -1, "-8G", 0, "0G", "1:30", "8GB2", True, "1_000M", "٣G"])
@pytest.mark.parametrize(
    "key", ["resources.mem", "resources.mem_per_cpu", "keeper_resources.mem", "keeper_resources.tmp"]
)
def test_no_sizes(key: str, value: Any) -> None:
    node, _, name = key.partition(".")
    with pytest.raises(ConfigError, match=rf"^hydra\.launcher\.{key}=.*: (should be a size such as|is a truth value)"):
        read(options(**{node: {name: value}}))


@pytest.mark.parametrize("key", ["partition", "qos", "account", "constraint", "gpus", "cpus", "reservation"])
@pytest.mark.parametrize("value", [True, False])
def test_yes_and_no_are_no_names(key: str, value: bool) -> None:
    with pytest.raises(ConfigError, match=rf"resources\.{key}={str(value).lower()}: is a truth value, as yes, no"):
        read(options(resources={key: value}))
    switch = read(options(resources={"exclusive": value}))
    assert switch.flags(switch.room).get("exclusive", False) is value


@pytest.mark.parametrize("value", [1.5, -1, "-1", "1.5", "a100:", "a100:x", "2,", "a100:1,", 1e3])
def test_no_numbers_of_gpus(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"resources\.gpus=.*: should be a number of GPUs, 0 for none"):
        read(options(resources={"gpus": value}))


@pytest.mark.parametrize("value", [0, 2.5, -1, "two", "1-2"])
@pytest.mark.parametrize("key", ["cpus", "cpus_per_gpu"])
def test_no_numbers_of_cores(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"resources\.{key}=.*: should be a whole number of 1 or more"):
        read(options(resources={key: value}))


@pytest.mark.parametrize(
    "resources",
    [
        *({"gpus": kind} for kind in (0, 3, "2", "a100", "a100:2", "3090:1", "1g.5gb:2", "a100:1,v100:2", "h100-80:1")),
        {"cpus": "4"},
        {"site_plugin": 1.5},
        {"account": 123, "nice": -5},
        {"gpu_bind": "closest", "mincpus": 2},
    ],
)
def test_what_is_well_is_taken(resources: dict[str, Any]) -> None:
    read(options(resources=resources))


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("64G", "64G"),
        (1000, 1000),
        ("1.5G", "1536M"),
        ("2GB", "2048M"),
        (1e3, "1000M"),
        ("500m", "500M"),
        (" 8G", "8192M"),
    ],
)
def test_sizes_are_given_as_sbatch_reads_them(asked: Any, given: Any) -> None:
    chosen = read(options(resources={"mem_per_cpu": asked}, keeper_resources={"mem": asked}))
    assert (chosen.flags(chosen.room)["mem-per-cpu"], chosen.keeper_flags()["mem"]) == (given, given)


def test_sizes() -> None:
    assert [mebibytes("mem", text) for text in (500, "500M", "8G", "1.5g", "2TB")] == [
        500,
        500,
        8192,
        1536,
        2 * 1024**2,
    ]


def test_tasks_that_never_started_are_told_apart() -> None:
    assert list(_tasks("12_[3-5,9%2]")) == ["12_3", "12_4", "12_5", "12_9"]
    assert list(_tasks("12_3")) == ["12_3"]


works = st.lists(st.integers(0, 10**6), unique=True, max_size=60).map(
    lambda ids: [Work(f"{i:016x}", (0,)) for i in ids]
)


@given(works, st.data(), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 7))
def test_cutting_loses_nothing_keeps_the_order_and_the_limits(todo, data, pack, chain, gpus, largest):
    rooms = {work: Resources(data.draw(st.sampled_from([1, pack]))) for work in todo}
    stage = {work: data.draw(st.integers(0, 2)) for work in todo}
    drafts = draft_arrays(rooms, stage, read(options(chain=chain, resources={"gpus": gpus})), largest)
    for draft in drafts:
        assert 1 <= len(draft.batches) <= largest
        assert all(1 <= len(batch) <= draft.room.pack * gpus * chain for batch in draft.batches)
    assert [d.stage for d in drafts] == sorted(d.stage for d in drafts)
    cut_up = {(d.stage, d.room): [] for d in drafts}
    for d in drafts:
        cut_up[d.stage, d.room] += [work for batch in d.batches for work in batch]
    for (at, room), found in cut_up.items():
        assert found == [w for w in todo if (stage[w], rooms[w]) == (at, room)]
    assert sum(map(len, cut_up.values())) == len(todo)


def test_a_job_shares_out_its_devices_and_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    none = slots(2, False, gpu=False)
    assert [(s.env["CUDA_VISIBLE_DEVICES"], s.gpu) for s in none] == [("", False)] * 2  # GPUs of others are not touched
    unsaid = slots(2, False, gpu=True)  # given without a word: not hidden, and it has to be usable
    assert [("CUDA_VISIBLE_DEVICES" in s.env, s.gpu) for s in unsaid] == [(False, True)] * 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    four = slots(2, True, gpu=True)
    assert all(s.gpu for s in four)
    assert [s.env["CUDA_VISIBLE_DEVICES"] for s in four] == ["2", "2", "3", "3"]
    assert {(s.env["OMP_NUM_THREADS"], s.memory_share) for s in four} == {("1", 0.5)}
    assert [s.device for s in four] == ["2", "2", "3", "3"]


@pytest.mark.parametrize(
    ("pack", "resources", "said"),
    [
        (1, {"gpus": 1, "cpus": 1}, []),
        (4, {"gpus": 0, "cpus": 4}, []),
        (4, {"gpus": 1, "cpus": 4}, ["pack=4: trials on one GPU take turns"]),
        (4, {"gpus": 0, "cpus": 2}, ["4 trials of a job run side by side, and its cores are 2"]),
        (
            2,
            {"gpus": 2, "cpus": None},
            ["pack=2: trials on one GPU", "4 trials of a job.*default.*cpus=4 or"],
        ),
    ],
)
def test_what_packed_trials_wait_for_is_said(pack: int, resources: dict[str, int], said: list[str]) -> None:
    notes = read(options(pack=pack, resources=resources)).notes
    assert len(notes) == len(said)
    assert all(re.match(text, note) for text, note in zip(said, notes, strict=True))


def test_what_an_allocation_left_in_the_environment_is_not_passed_on() -> None:
    inherited = {"SLURM_JOB_ID": "1", "SBATCH_PARTITION": "x", "SRUN_DEBUG": "1", "PMIX_RANK": "0", "RANK": "0"}
    kept = {"SLURM_CONF": "/etc/slurm.conf", "HOME": "/root", "PATH": "/bin"}
    assert clean_environment({**inherited, **kept}) == kept


def test_a_round_that_somebody_else_never_ends_is_not_waited_for_forever(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(rounds, "_LOCK_SECONDS", 0.1)
    with FileLock(tmp_path / "lock"), pytest.raises(AblationError, match=r"another process has been making its round"):
        rounds.make_round(tmp_path)


@pytest.mark.parametrize(("value", "budget"), [("auto", 0.0), (False, 0.0), (True, 60.0), ("strict", 60.0)])
def test_a_login_node_does_no_steps_unasked(value: Any, budget: float) -> None:
    assert read(options(check=value)).check.seconds == budget


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("Invalid qos specification", "`sacctmgr show assoc user=$USER`"),
        ("Invalid account or account/partition combination specified", "`sacctmgr show assoc user=$USER`"),
        ("Requested node configuration is not available", "`sinfo`"),
    ],
)
def test_a_refusal_names_the_command_that_shows_what_there_is(words: str, command: str) -> None:
    report = RoundReport(0, 0, 0, 0, {}, refused={"a/seed-0": words})
    with pytest.raises(ConfigError, match=re.escape(f"to what {command} shows")):
        report.require_accepted()


def test_retry_prints_nothing_beside_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    backend._print(Console(stderr=True), ["1 given up"])
    assert capsys.readouterr() == ("", "")
    backend._print(Console(), ["1 given up"])
    assert capsys.readouterr().out == "1 given up\n"
