"""Who holds a seed is taken for alive, and who is gone for dead, by its process or its signs of life."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from holders import HOLDER, foreign, process, said

from ablation.store import heartbeat
from ablation.store.attempt import Busy, Owner, folder, latest, live, owner
from ablation.store.claim import claim


def test_a_pid_that_another_process_has_now_is_not_the_holder(tmp_path: Path) -> None:
    foreign(tmp_path, replace(Owner.here(), born="12"))
    assert not live(folder(tmp_path, 1), 60)


def test_signals_do_not_free_a_stopped_holder(tmp_path: Path) -> None:
    with process(HOLDER, tmp_path) as holder:
        assert said(holder) == "1"
        holder.send_signal(signal.SIGSTOP)
        assert live(folder(tmp_path, 1), lease=0.001), "it runs, and may go on at any time"


def test_a_holder_beats(tmp_path: Path) -> None:
    with claim(tmp_path, lease=0.06) as attempt:
        beat, deadline = attempt.folder / "beat", time.monotonic() + 20
        for _ in range(3):
            last = beat.stat().st_mtime_ns
            while beat.stat().st_mtime_ns == last:
                assert time.monotonic() < deadline
    assert not beat.exists()
    assert not live(attempt.folder, 60)


@pytest.fixture
def short_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before somebody is replaced, a heartbeat is waited for; here not for long."""
    monkeypatch.setattr(heartbeat, "_WATCHED", 0.01)


@pytest.mark.usefixtures("short_look")
def test_a_holder_on_another_host_is_replaced_after_the_lease(tmp_path: Path) -> None:
    made = foreign(tmp_path, beat_ago=50)
    assert live(made, lease=60)
    with pytest.raises(Busy, match="on elsewhere"), claim(tmp_path, lease=60):
        pass
    assert not live(made, lease=45)
    with claim(tmp_path, lease=45) as attempt:
        assert attempt.number == 2
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.usefixtures("short_look")
def test_the_holder_s_own_lease_counts_if_it_is_longer(tmp_path: Path) -> None:
    elsewhere = replace(Owner.here(lease=300), host="elsewhere", boot="another")
    made = foreign(tmp_path, elsewhere, beat_ago=200)
    assert owner(made) == elsewhere
    assert live(made, lease=60)
    with pytest.raises(Busy), claim(tmp_path, lease=60):
        pass
    os.utime(made / "beat", (0, 0))
    with claim(tmp_path, lease=60) as attempt:
        found = owner(attempt.folder)
        assert found is not None
        assert found.lease == 60


def test_an_owner_that_told_no_lease_is_judged_by_ours(tmp_path: Path) -> None:
    made = foreign(tmp_path, beat_ago=50)
    older = json.loads((made / "owner.json").read_text())
    del older["lease"]
    (made / "owner.json").write_text(json.dumps(older))
    assert owner(made) is not None
    assert live(made, lease=60)
    assert not live(made, lease=45)


@pytest.mark.parametrize("text", [None, "", "{", '{"host": 1}', "[]"])
def test_an_owner_that_cannot_be_read_is_judged_by_its_heartbeat(tmp_path: Path, text: str | None) -> None:
    for ago, alive in ((0, True), (61, False)):
        made = foreign(tmp_path, beat_ago=ago)
        (made / "owner.json").unlink() if text is None else (made / "owner.json").write_text(text)
        assert owner(made) is None
        assert live(made, lease=60) is alive
        assert latest(tmp_path) == 1 + (ago > 0)


def test_ages_are_of_the_file_server_s_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = foreign(tmp_path, beat_ago=30)
    true = time.time()
    for wrong in (true + 3600, true - 3600):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: wrong)
        assert live(made, lease=60)
        assert not live(made, lease=20)


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_was_set_frees_nobody_who_lives_and_keeps_nobody_who_died(
    tmp_path: Path, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a laptop has slept too: until the next heartbeat the last one is of hours ago, or of hours to come."""
    monkeypatch.setattr(heartbeat, "_WATCHED", 6)  # so that a busy machine is not too late
    with claim(tmp_path, lease=0.6) as attempt:
        held = json.loads((attempt.folder / "owner.json").read_text())
        (attempt.folder / "owner.json").write_text(json.dumps(held | {"host": "elsewhere"}))
        set_clock(attempt.folder / "beat", hours)
        assert live(attempt.folder, lease=0.6, watch=True)
        set_clock(attempt.folder / "beat", hours)
        with pytest.raises(Busy, match="on elsewhere"), claim(tmp_path, lease=0.6):
            pass
    set_clock(foreign(tmp_path) / "beat", hours)
    with claim(tmp_path, lease=0.6) as attempt:
        assert attempt.number == 3


def set_clock(beat: Path, hours: float) -> None:
    """Let a file have been touched so much later than now."""
    then = time.time() + 3600 * hours
    os.utime(beat, (then, then))
