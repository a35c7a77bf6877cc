"""A run from before a correction says so, wherever it is looked at: its folder's id tells what it was made under."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import SMALL_MODEL, TINY

from ablation.errors import ConfigError
from launch.backends import status_of
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.naming import rules
from launch.plan import make_plan
from launch.sweep import earlier_arms
from launch.sweep.submission import Submission, create
from tests.launch.handmade import epoch, finish, make, seed_folder, start, sweep
from tests.launch.test_cli_verbs import asked, said

OPTION, NUMBER = "aug.channel_drop", 99
WORDS = "it was made before revision 99 of aug.channel_drop; see CHANGELOG.md"


def composed(out: Path, *row: str) -> list[Planned]:
    with initialized():
        return compose_arms([[*TINY, *SMALL_MODEL, f"out={out}", "sweep=old", *row]])


@pytest.fixture
def old(tmp_path: Path) -> Submission:
    """A finished run with the option, and one without it."""
    made = sweep(tmp_path, "aug=channel_drop", "aug=cutout", name="old")
    for arm in range(2):
        make(seed_folder(made, arm), 1, start(), epoch(3))
        finish(seed_folder(made, arm))
    return made


@pytest.fixture
def corrected(old: Submission, monkeypatch: pytest.MonkeyPatch) -> Planned:
    """The same command after a correction of the option."""
    monkeypatch.setitem(rules().revised, OPTION, NUMBER)  # type: ignore[misc]
    return composed(old.out, "aug=channel_drop")[0]


def test_explain_tells_what_a_run_was_made_before(
    old: Submission, corrected: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
    before, other = old.arms
    printed = asked(capsys, old, "explain", before)[1]
    assert printed["stale"]["id"] == corrected.arm.id != before
    assert printed["stale"]["keys"] == {f"revised.{OPTION}": [printed["revisions"][OPTION], NUMBER]}
    assert printed["revisions"][OPTION] < NUMBER
    text = said(capsys, old, "explain", before)[1]
    assert f"yes: its command gives {corrected.arm.id} today, since {WORDS}" in text
    assert f"made under revision {printed['revisions'][OPTION]} of {OPTION}" in text
    assert asked(capsys, old, "explain", other)[1]["stale"] is None, "it does not use the option"


def test_explain_tells_two_runs_of_one_configuration_apart(
    old: Submission, corrected: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
    before, other = old.arms
    corrected.arm.write(old.out / corrected.arm.id, corrected.config)
    told = asked(capsys, old, "explain", before, corrected.arm.id)[1]["differences"]
    assert list(told) == [f"revised.{OPTION}"]
    assert f"revision of {OPTION}" in said(capsys, old, "explain", before, corrected.arm.id)[1]
    assert asked(capsys, old, "explain", corrected.arm.id)[1]["revisions"][OPTION] == NUMBER
    assert not any(k.startswith("revised") for k in asked(capsys, old, "explain", before, other)[1]["differences"])


def test_a_plan_a_run_and_a_status_tell_it(
    old: Submission, corrected: Planned, capsys: pytest.CaptureFixture[str]
) -> None:
    (arm,) = make_plan([corrected], "x").arms
    assert (arm.state, str(arm.stale)) == ("stale", WORDS)
    assert earlier_arms.notes(corrected) == [
        f"stale: {old.out / next(iter(old.arms))} came from the same command, but {WORDS}"
    ]
    again = create([corrected], {"kind": "local"}, "x")
    stale = {t.planned.arm.id: t.stale for t in status_of([old, again]).trials}
    assert (stale[next(iter(old.arms))], stale[corrected.arm.id]) == (WORDS, "")


def test_an_earlier_run_may_teach_if_it_is_done_but_is_not_trained_further(old: Submission, corrected: Planned) -> None:
    before = next(iter(old.arms))
    assert composed(old.out, "loss=distill", f"teacher={before}")[0].arm.id == before
    (old.out / before / "config.yaml").write_text((old.out / before / "config.yaml").read_text() + "seeds: [0, 1]\n")
    with pytest.raises(ConfigError, match=f"made before revision 99 of {OPTION} .*cannot be trained further"):
        composed(old.out, "loss=distill", f"teacher={before}", "seeds=2")
