"""What a round says of itself stays on a screen, however many trials it is about."""

from __future__ import annotations

from launch.slurm.rounds import RoundReport, Rounds, report_lines


def test_trials_with_the_same_reason_share_a_line() -> None:
    blocked = {f"{n:016x}/seed-0": "blocked: its teacher is given up" for n in range(8)}
    lines = report_lines(RoundReport(done=2, in_queue=0, owned_by_other=0, not_submitted=0, given_up=blocked))
    assert lines[0] == "trials: 2 done, 8 given up"
    assert lines[1:] == [
        "0000000000000000/seed-0, 0000000000000001/seed-0, 0000000000000002/seed-0 and 5 more: given up: "
        "blocked: its teacher is given up"
    ]


def test_trials_are_called_as_in_every_other_view() -> None:
    arms = {"5be9c8134f7a0b12": "no aug", "f4ebe45399847b93": "mixup alpha=0.3"}
    retried = {"5be9c8134f7a0b12/seed-0": "oom", "f4ebe45399847b93/seed-0+1": "oom"}
    lines = report_lines(RoundReport(0, 2, 0, 0, given_up={}, retried=retried, names=arms))
    assert lines[1:] == ["no aug seed 0, mixup alpha=0.3 seed 0, 1: tried again after oom"]


def test_of_many_reasons_a_few_are_told_and_where_the_others_stand() -> None:
    """A full disk gives each trial a reason of its own, with a path in it."""
    full = {f"{n:016x}/seed-0": f"disk: /out/{n:016x}/next.pt: the disk is full" for n in range(1000)}
    lines = report_lines(RoundReport(done=0, in_queue=0, owned_by_other=0, not_submitted=0, given_up=full))
    assert len(lines) == 7
    assert lines[1] == "0000000000000000/seed-0: given up: disk: /out/0000000000000000/next.pt: the disk is full"
    assert lines[-1] == "and 995 more reasons: `ablation logs --failed` has them all"


def test_a_full_disk_is_told_once_for_a_sweep_of_many_submissions() -> None:
    """A soak's watch told it in twenty lines, some of each submission."""
    full = [{f"{n:016x}/seed-0": f"disk: /out/{n:016x}/next.pt: the disk is full"} for n in range(20)]
    said = list[str]()
    rounds = Rounds([], said.append)
    rounds._tell([RoundReport(0, 0, 0, 0, given_up=one, notes=("a note",)) for one in full])
    assert [line[:25] for line in said] == [
        *(f"{n:016x}/seed-0: " for n in range(5)),
        "and 15 more reasons: `abl",
        "note: a note",
    ]
