"""The retry policy: what is refused, what each cause leads to, and that it always comes to an end."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ablation.errors import ConfigError
from launch.status.retry_policy import CAUSES, AttemptFailure, GiveUp, Policy, Resources, Retry, decide, read

YAML = Path(__file__).resolve().parents[2] / "conf/hydra/launcher/_retry.yaml"
SHIPPED: Policy = read(yaml.safe_load(YAML.read_text())["retry"])
STEPS = 12
causes = st.sampled_from(CAUSES)
rooms = st.builds(Resources, pack=st.integers(1, 16), mem_mib=st.none() | st.integers(1, 10**6))
failures = st.builds(AttemptFailure, causes, st.integers(0, STEPS), st.sampled_from(["", "n1", "n2"]), st.booleans())
rules = st.fixed_dictionaries(
    {"tries": st.integers(0, 4)},
    optional={"resume": st.booleans(), "exclude": st.booleans(), "pack": st.floats(1, 4), "mem": st.floats(1, 4)},
)


def retried(seen: list[AttemptFailure], room: Resources) -> Resources:
    decision = decide(seen, room, SHIPPED)
    assert isinstance(decision, Retry)
    return decision.room


@given(st.dictionaries(causes, rules), rooms, st.lists(failures, min_size=400, max_size=400))
def test_every_trial_is_stopped_after_finitely_many_retries(node, room, endless):
    policy = read(node)
    bound = sum(rule.tries + 1 for rule in policy.values()) + STEPS
    for n in range(1, len(endless) + 1):
        decision = decide(endless[:n], room, policy)
        if isinstance(decision, GiveUp):
            assert n <= bound
            return
        room = decision.room
    pytest.fail("never stopped")


@given(st.lists(failures), rooms, st.sampled_from(["error", "config", "diverged", "cancelled", "disk"]))
def test_what_would_fail_again_is_never_retried(earlier, room, cause):
    assert isinstance(decide([*earlier, AttemptFailure(cause)], room, SHIPPED), GiveUp)


@given(st.lists(failures, max_size=2), rooms, failures)
def test_a_retry_has_never_less_room(earlier, room, last):
    decision = decide([*earlier, last], room, SHIPPED)
    if isinstance(decision, Retry):
        after = decision.room
        assert 1 <= after.pack <= room.pack
        assert (after.mem_mib or 0) >= (room.mem_mib or 0)
        assert set(after.exclude) >= set(room.exclude)


@given(st.integers(1, 16), st.integers(1, 10**6))
def test_out_of_memory_always_changes_something_first_the_pack_then_the_memory(pack, mem):
    room = Resources(pack, mem)
    after = retried([AttemptFailure("oom")], room)
    if pack > 1:
        assert (after.pack < pack, after.mem_mib) == (True, mem)
    else:
        assert (after.pack, after.mem_mib) == (1, 2 * mem)


def test_out_of_memory_goes_from_four_to_one_side_by_side_and_then_to_twice_the_memory():
    room, seen = Resources(4, 1000), []
    for expected in (Resources(2, 1000), Resources(1, 1000), Resources(1, 2000)):
        seen.append(AttemptFailure("oom"))
        room = retried(seen, room)
        assert room == expected
    assert decide([*seen, AttemptFailure("oom")], room, SHIPPED) == GiveUp("oom (4 times)")


def test_more_of_the_machines_memory_does_not_help_a_full_device():
    decision = decide([AttemptFailure("oom", device=True)], Resources(1, 1000), SHIPPED)
    assert isinstance(decision, GiveUp)
    assert "batch_size" in decision.reason
    assert retried([AttemptFailure("oom", device=True)], Resources(2, 1000)).pack == 1


def test_unknown_memory_cannot_be_doubled_and_the_way_out_is_named():
    decision = decide([AttemptFailure("oom")], Resources(), SHIPPED)
    assert isinstance(decision, GiveUp)
    assert "resources.mem" in decision.reason


def test_a_time_limit_is_resumed_as_long_as_it_advances():
    advancing = [AttemptFailure("time_limit", step) for step in range(1, 50)]
    assert decide(advancing, Resources(), SHIPPED) == Retry(Resources())
    stuck = [*advancing, *[AttemptFailure("time_limit", 49)] * 2]
    assert decide(stuck, Resources(), SHIPPED) == Retry(Resources())
    assert isinstance(decide([*stuck, AttemptFailure("time_limit", 49)], Resources(), SHIPPED), GiveUp)


def test_a_broken_node_is_kept_away_from():
    room = retried([AttemptFailure("node", node="n2")], Resources())
    assert room.exclude == ("n2",)
    assert retried([AttemptFailure("node", node="n2"), AttemptFailure("node", node="n1")], room).exclude == ("n1", "n2")


def test_a_killed_trial_is_tried_once_more_whatever_else_happened():
    assert decide([AttemptFailure("killed")], Resources(), SHIPPED) == Retry(Resources())
    assert decide(
        [AttemptFailure("killed"), AttemptFailure("preempted"), AttemptFailure("killed", 5)], Resources(), SHIPPED
    ) == GiveUp("killed (2 times)")


def test_causes_without_a_rule_are_not_retried():
    assert {cause: rule.tries for cause, rule in read({}).items()} == dict.fromkeys(CAUSES, 0)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"oomm": {"tries": 1}}, "retry.oomm: no such cause; did you mean oom?"),
        ({"oom": {"trys": 1}}, "retry.oom.trys: no such setting; did you mean tries?"),
        ({"oom": {"_tries": 1}}, "retry.oom._tries: no such setting"),
        ({"oom": 3}, "retry.oom=3: should be a mapping"),
        ({"oom": {"tries": -1}}, "retry.oom.tries=-1"),
        ({"oom": {"tries": True}}, "retry.oom.tries=true: give a whole number, 0 for no retry"),
        ({"oom": {"tries": 1, "mem": 0.5}}, "retry.oom.mem=0.5: give a factor"),
        ({"oom": {"tries": 1, "pack": "two"}}, "retry.oom.pack=two: give a factor"),
        ({"node": {"tries": 1, "exclude": "n1"}}, "retry.node.exclude=n1: give true or false"),
    ],
)
def test_a_mistaken_policy_is_refused_by_key_and_value(node, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        read(node)


def test_the_shipped_policy_can_be_changed_rule_by_rule():
    changed = {**SHIPPED, "killed": replace(SHIPPED["killed"], tries=2)}
    assert isinstance(decide([AttemptFailure("killed")] * 2, Resources(), changed), Retry)


@pytest.mark.parametrize("node", [None, "oom", []])
def test_a_policy_that_is_no_mapping_is_refused(node: object) -> None:
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.retry=.*: should be a mapping"):
        read(node)
