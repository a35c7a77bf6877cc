"""A student's teacher is found, trained before it, and part of what the student is."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra import compose
from tiny import CONF, SMALL_MODEL, TINY, final_weights, run

from ablation.errors import ConfigError
from ablation.store.identity import identify
from launch.compose import teachers
from launch.compose.arm import Arm, Planned, resolved, settle
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.naming import rules
from launch.compose.overrides import for_hydra, quote_teacher
from launch.compose.teachers import order, teacher_overrides

STUDENT = ("loss=distill", "loss.alpha=0.5", "aug=cutout")


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    with initialized():
        yield


def alone(*row: str) -> str:
    """The id of a configuration without a teacher."""
    return identify(settle(resolved(compose("config", list(row))), row)[0], rules())


def planned(*row: str) -> list[Planned]:
    return compose_arms([list(row)])


def test_without_a_teacher_ids_are_as_before_there_were_any() -> None:
    config, _ = settle(resolved(compose("config", [])), [])
    older = {k: v for k, v in config.items() if k not in ("teacher", "rounds", "draws")}
    assert identify(older, rules()) == identify(config, rules())


def test_the_same_student_with_plain_loss_teaches() -> None:
    teacher, student = planned(*STUDENT, "teacher=same", "seeds=[2,0]")
    assert teacher.arm.id == alone("aug=cutout")
    assert (teacher.teacher, student.teacher) == (None, teacher.arm.id)
    assert teacher.seeds == student.seeds == (2, 0)
    assert (student.config["teacher"], student.config["rounds"]) == (teacher.arm.id, 1)
    assert teacher.arm.name == "aug=cutout,loss=ce"
    assert student.arm.name == "aug=cutout,loss.alpha=0.5,loss=distill,teacher=same"
    assert compose_arms([teacher.arm.overrides])[0].arm.id == teacher.arm.id, "its overrides give it alone too"


def test_a_teacher_of_other_overrides() -> None:
    teacher, student = planned(*STUDENT, "teacher='model=resnet56 epochs=30'")
    assert teacher.arm.id == alone("aug=cutout", "model=resnet56", "epochs=30")
    assert teacher.arm.groups["model"] == "resnet56"
    assert student.arm.groups["model"] == "resnet20"


def test_another_teacher_is_another_student() -> None:
    texts = ("same", "'epochs=30'", "'epochs=31'", "'epochs=30 loss=label_smoothing'")
    ids = [planned(*STUDENT, f"teacher={text}")[-1].arm.id for text in texts]
    assert len(set(ids)) == len(texts)
    same = planned(*STUDENT, "teacher='aug=cutout epochs=20'")[-1].arm.id
    assert same == ids[0], "what a teacher is counts, not how it was asked for"


def test_a_chain_of_rounds_is_one_line() -> None:
    teacher, first, second, third = planned(*STUDENT, "teacher=same", "rounds=3")
    assert [p.teacher for p in (teacher, first, second, third)] == [None, teacher.arm.id, first.arm.id, second.arm.id]
    assert first.arm.id == planned(*STUDENT, "teacher=same")[-1].arm.id
    assert teachers.stages([third, first, teacher, second]) == {
        teacher.arm.id: 0, first.arm.id: 1, second.arm.id: 2, third.arm.id: 3,
    }  # fmt: skip


def test_the_longest_chain() -> None:
    assert len(planned("loss=distill", "teacher=same", "rounds=50")) == 51


def test_arms_share_their_common_stages() -> None:
    rows = [[*STUDENT, "teacher=same", f"rounds={n}"] for n in (3, 1, 2)]
    together = compose_arms([["aug=cutout", "seeds=3"], *rows, [*STUDENT, "teacher=same", "loss.temperature=2"]])
    assert len(together) == 5
    assert together[0].arm.name == "aug=cutout"
    assert "aug=cutout,loss=ce is the same arm as aug=cutout: its trials are run once" in together[0].notes
    assert together[0].seeds == (0, 1, 2), "seeds are united"


def test_works_come_stage_by_stage() -> None:
    rows = [[*STUDENT, "teacher=same", "rounds=2", "seeds=2"], ["aug=mixup"]]
    arms = compose_arms(rows)
    depth = teachers.stages(arms)
    works = order(list(reversed(arms)))
    assert [depth[w.id] for w in works] == sorted(depth[w.id] for w in works)
    assert len(works) == 7


def test_a_recipe_s_teacher_and_loss_are_not_the_teacher_s(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "taught.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /loss: distill\nteacher: same\nrounds: 2\nepochs: 7\n"
    )
    search = [f"hydra.searchpath=[file://{tmp_path}]"]
    teacher, first, second = compose_arms([["recipe=taught"]], search)
    assert teacher.arm.id == alone("epochs=7")
    assert (first.teacher, second.teacher) == (teacher.arm.id, first.arm.id)
    assert compose_arms([["recipe=taught", "rounds=1"]], search)[-1].arm.id == first.arm.id


def test_a_teacher_of_an_earlier_run(tmp_path: Path) -> None:
    out = f"out={tmp_path}"
    (teacher,) = compose_arms([[*TINY, *SMALL_MODEL, out, "seeds=[0,5]"]])
    teacher.arm.write(tmp_path / teacher.arm.id, teacher.config)
    for prefix in (teacher.arm.id, teacher.arm.id[:6]):
        found, student = compose_arms([[*TINY, *SMALL_MODEL, out, "seeds=[5]", "loss=distill", f"teacher={prefix}"]])
        assert (found.arm.id, student.teacher, found.seeds) == (teacher.arm.id, teacher.arm.id, (5,))
    (_, by_name) = compose_arms([[*TINY, *SMALL_MODEL, out, "loss=distill", "teacher=same"]])
    assert by_name.arm.id == student.arm.id
    run({**found.config, "seeds": [5]}, tmp_path / teacher.arm.id)
    assert len(compose_arms([[*TINY, *SMALL_MODEL, out, "seeds=[5]", "loss=distill", f"teacher={prefix}"]])) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resnet56", "resnet56 is neither an override nor an id"),
        ("''", "nothing is neither an override"),
        ("'seeds=3'", "the same seeds"),
        ("'out=elsewhere'", "the same out"),
        ("abcdef", "no run in .* has this id"),
        ("'epochs=0'", "epochs=0: give a whole number"),
        ("'modle=resnet56'", "modle"),
        ("'data=cifar10'", "trained with data._target_=.*give both the same"),
        ("'data.size=16'", "data.size"),
        ("'loss=distill'", "learns from a teacher"),
        ("'teacher=same'", "learns from no teacher"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(*STUDENT, f"teacher={text}", f"out={tmp_path}")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["loss=distill"], "learns from a teacher; name one by teacher=same.*or choose loss=ce"),
        (["teacher=same"], "learns from no teacher that is trained before; choose .* loss=distill, or teacher=null"),
        (["loss=distill", "rounds=2"], "rounds=2: .*add teacher=same"),
        (["loss=distill", "teacher=same", "rounds=0"], "rounds=0: give a whole number"),
        (["loss=distill", "teacher=same", "rounds=400"], "rounds=400: give .* at most 50"),
        (["loss=distill", "teacher=same", "rounds=1.5"], "rounds=1.5: give a whole number"),
    ],
)
def test_half_a_teacher_is_refused_with_both_ways_out(row: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(*row)


def test_an_ambiguous_or_edited_id_is_refused(tmp_path: Path) -> None:
    arms = compose_arms([[f"epochs={n}", f"out={tmp_path}"] for n in range(1, 40)])
    for p in arms:
        p.arm.write(tmp_path / p.arm.id, p.config)
    copy = tmp_path / f"{arms[0].arm.id[:4]}{'0' * 12}"
    arms[0].arm.write(copy, {**arms[0].config, "epochs": 2})
    with pytest.raises(ConfigError, match="begin so; give more digits"):
        planned(*STUDENT, f"teacher={copy.name[:4]}", f"out={tmp_path}")
    with pytest.raises(ConfigError, match="it was edited, or"):
        planned(*STUDENT, f"teacher={copy.name}", f"out={tmp_path}")


@pytest.mark.parametrize("name", ["arm.json", "config.yaml"])
@pytest.mark.parametrize("text", [None, "", "{", "[1, 2]", "3", "{: ]", "epochs: .nan\n", "data: 3\n", "\x00"])
def test_a_run_folder_that_is_not_whole_is_refused_by_name(tmp_path: Path, name: str, text: str | None) -> None:
    (teacher,) = compose_arms([[f"out={tmp_path}"]])
    folder = tmp_path / teacher.arm.id
    teacher.arm.write(folder, teacher.config)
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(ConfigError, match=f"teacher={folder.name}: {folder}.* is not"):
        planned(*STUDENT, f"teacher={folder.name}", f"out={tmp_path}")


def test_an_option_chosen_anew_takes_the_student_s_settings_with_it() -> None:
    row = ["model.depth=8", "aug=[cutout]", "aug.cutout.size=4", "loss=distill", "loss.alpha=1", "epochs=3"]
    assert teacher_overrides(row, "model=resnet18 epochs=4") == [
        "aug=[cutout]", "aug.cutout.size=4", "teacher=null", "rounds=1", "loss=ce", "model=resnet18", "epochs=4",
    ]  # fmt: skip
    assert "aug.cutout.size=4" not in teacher_overrides(row, "aug=[]")


@pytest.mark.parametrize(
    ("typed", "given"),
    [
        ("teacher=same", "teacher=same"),
        ("teacher=model=resnet56 epochs=30", "teacher='model=resnet56 epochs=30'"),
        ("teacher=same,aug=[cutout,mixup] lr=1,12e45", "teacher=same,'aug=[cutout,mixup] lr=1','12e45'"),
        ("teacher='epochs=3'", "teacher='epochs=3'"),
        ("teacher=choice('epochs=3',same)", "teacher=choice('epochs=3',same)"),
        ("teacher=null", "teacher=null"),
        ("optim.lr=0.1,0.2", "optim.lr=0.1,0.2"),
    ],
)  # fmt: skip
def test_a_shell_needs_one_pair_of_quotes(typed: str, given: str) -> None:
    assert quote_teacher(typed) == quote_teacher(given) == given, "also if it was quoted before, as in a grid"
    assert for_hydra([typed]) == [given]


def test_an_id_that_reads_as_a_number_is_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="teacher=12e4567890123456: no run in"):
        planned(*STUDENT, "teacher=12e4567890123456", f"out={tmp_path}")


def chain(*links: tuple[str, str | None]) -> list[Planned]:
    arm = Arm("", "", "main", {}, {}, [], "")
    return [Planned(replace(arm, id=name), {"seeds": [0], "fuse": False}, teacher=above) for name, above in links]


def test_depths_whatever_the_order() -> None:
    links = [("a", None), ("b", "a"), ("c", "b"), ("d", "a"), ("e", "elsewhere")]
    for order_of in itertools.permutations(links):
        assert teachers.stages(chain(*order_of)) == {"a": 0, "b": 1, "c": 2, "d": 1, "e": 0}


def test_a_circle_is_refused() -> None:
    for links in ([("a", "a")], [("a", "b"), ("b", "a")], [("x", "a"), ("a", "b"), ("b", "c"), ("c", "a")]):
        with pytest.raises(ConfigError, match="wait for each other"):
            teachers.stages(chain(*links))


def sweep(out: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    tiny = (*TINY, *SMALL_MODEL, "epochs=1", f"out={out}")
    line = [sys.executable, "launch/run.py", *overrides, *tiny]
    return subprocess.run(line, cwd=CONF.parent, capture_output=True, text=True, timeout=200)


def trained(out: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {str(p.parent.relative_to(out)): final_weights(p.parents[1], 1) for p in out.glob("*/seed-1/result.json")}


def test_a_chain_through_workers_is_the_chain_one_after_the_other(tmp_path: Path) -> None:
    chain_of_rounds = ("loss=distill", "teacher=optim.lr=0.01 epochs=2", "rounds=3", "seeds=[1]")
    side, alone = (sweep(tmp_path / name, *m, *chain_of_rounds) for name, m in (("side", ["-m"]), ("alone", [])))
    assert side.returncode == alone.returncode == 0, side.stderr + alone.stderr
    one, other = trained(tmp_path / "side"), trained(tmp_path / "alone")
    assert len(one) == 4
    assert one.keys() == other.keys()
    assert all(torch.equal(w, other[trial][n]) for trial in one for n, w in one[trial].items())


@pytest.mark.slow
def test_a_failed_teacher_blocks_its_students_which_have_not_failed(tmp_path: Path) -> None:
    done = sweep(tmp_path, "-m", "loss=distill", "teacher=same,optim.lr=1e30", "rounds=2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(list(tmp_path.glob("*/seed-0/result.json"))) == 3, "the other chain is trained"
    assert "3 of 6 done, 1 failed, 2 blocked" in done.stdout
    begun = {p.parents[2].name for p in tmp_path.glob("*/seed-0/attempt-*/journal.jsonl")}
    assert len(begun) == 4, "the blocked were never begun"
