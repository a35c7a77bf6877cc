"""The code that a configuration runs: what is edited in it is seen, and nothing else."""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import CONF, SMALL_MODEL, TINY, config, run

from ablation.source import reader, syntax
from ablation.source.moved_digests import BEFORE
from ablation.source.reader import Reader
from ablation.store import code
from ablation.store.code import edited
from tests.launch.old.place import ARCHIVE


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATION_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the package, to be edited."""
    shutil.copytree(CONF.parent / "ablation", tmp_path / "checkout" / "ablation", ignore=lambda *_: ["__pycache__"])
    return tmp_path / "checkout"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def since(project: Path, settings: dict[str, Any], act: Callable[[], None]) -> list[str]:
    before = Reader(project).of(settings)
    act()
    return edited([before], Reader(project).of(settings))


def test_only_who_runs_it_is_told_of_an_edited_trick(project: Path) -> None:
    with_it, without = config(*TINY, *SMALL_MODEL, "aug=cutout"), config(*TINY, *SMALL_MODEL, "aug=mixup")
    file = project / "ablation" / "aug" / "cutout.py"
    before = Reader(project).of(without)
    assert since(project, with_it, lambda: file.write_text(file.read_text() + "\nX = 1\n")) == ["aug/cutout.py"]
    assert edited([before], Reader(project).of(without)) == []


@pytest.mark.parametrize("file", ["train.py", "data/view/pad_crop.py", "model/block.py", "optim/sgd.py", "evaluate.py"])
def test_what_it_runs_beside_its_tricks_counts(project: Path, file: str) -> None:
    """The loop, a view that is named without its module, what a factory imports."""
    path = project / "ablation" / file
    assert since(project, config(*TINY), lambda: path.write_text(path.read_text() + "\nX = 1\n")) == [file]


def test_bookkeeping_does_not_count(project: Path) -> None:
    path = project / "ablation" / "store" / "journal.py"
    assert since(project, config(*TINY), lambda: path.write_text(path.read_text() + "\nX = 1\n")) == []


def test_moving_a_file_and_rewording_are_no_edits(project: Path) -> None:
    """The factory and who imports it have another path; the trick is the same."""
    settings, old = config(*TINY, "aug=cutout"), project / "ablation" / "aug" / "cutout.py"
    before = Reader(project).of(settings)
    (project / "ablation" / "room").mkdir()
    (project / "ablation" / "room" / "__init__.py").touch()
    moved = old.rename(project / "ablation" / "room" / "cutout.py")
    helper = (project / "ablation" / "aug" / "_rectangle.py").rename(project / "ablation" / "room" / "_rectangle.py")
    moved.write_text(
        "# another comment\n" + moved.read_text().replace("ablation.aug._rectangle", "ablation.room._rectangle")
    )
    helper.write_text(helper.read_text().replace('"""', '"""Other words. ', 1))
    settings["aug"]["cutout"]["_target_"] = "ablation.room.cutout.cutout"
    assert edited([before], Reader(project).of(settings)) == []


def text(source: str) -> str:
    return syntax.bare(source.encode(), "mine.trick")[0]


FIRST = '''
from mine.helpers import half
def trick(alpha: float = 1.0) -> int:
    """Words."""
    found: int = half(alpha)
    if found < 0:
        raise ValueError("alpha: is below 0")
    return found
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ('"""Words."""', '"""Other words."""', True),
        ('    """Words."""\n', "", True),
        ("found: int = half", "found = half", True),
        ("-> int", "-> float", True),
        ("    return found", "    # why\n\n    return  found", True),
        ("half(alpha)", "half(2 * alpha)", False),
        ("1.0", "2.0", False),
        ("alpha: float", "alpha: int", False),
        ("ValueError", "TypeError", False),
        ('"alpha: is below 0"', "alpha", False),
        ("from mine.helpers", "from mine.others", False),
        ("mine.helpers", "torch.helpers", False),
        ("import half", "import third as half", False),
        ("if found < 0", "if found <= 0", False),
    ],
)
def test_what_counts_of_a_module(old: str, new: str, same: bool) -> None:
    assert old in FIRST
    assert (text(FIRST.replace(old, new)) == text(FIRST)) is same


def test_which_of_two_modules_a_name_comes_from_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though both are imported all the same."""
    mine = tmp_path / "two_of_mine"
    mine.mkdir()
    (mine / "__init__.py").write_text("from two_of_mine import v1, v2\n")
    for name, by in (("v1", 1), ("v2", 2)):
        (mine / f"{name}.py").write_text(f"def f(): return {by}\n")
    (mine / "trick.py").write_text("from .v1 import f\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = {**config(*TINY), "aug": {"mine": {"_target_": "two_of_mine.trick.f"}}}
    before = Reader().of(settings)
    (mine / "trick.py").write_text("from two_of_mine.v1 import f\n")
    assert edited([before], Reader().of(settings)) == [], "the same in other words"
    (mine / "trick.py").write_text("from two_of_mine.v2 import f\n")
    assert edited([before], Reader().of(settings)) == ["two_of_mine/trick.py"]


def test_fields_are_told_by_their_annotations_and_types_are_imported_for_nothing() -> None:
    assert text("class A:\n    x: int\n") != text("class A:\n    y: int\n")
    guarded = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mine import big\nelse:\n    x = 1\n"
    bare, imports = syntax.bare(guarded.encode(), "mine")
    assert "x" in bare
    assert "mine.big" not in imports
    assert syntax.bare(b"from . import a\nfrom ..b import c\n", "mine.inner")[1] >= {"mine.inner.a", "mine.b.c"}


def test_a_package_of_the_user_s_own_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "followed"
    mine.mkdir()
    (mine / "__init__.py").touch()
    (mine / "trick.py").write_text("import torch, numpy\nfrom .helper import f\ndef trick():\n    return f\n")
    (mine / "helper.py").write_text("def f(batch, key):\n    return batch\n")
    (mine / "other.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = {**config(*TINY), "aug": {"mine": {"_target_": "followed.trick.trick"}}}
    before = Reader().of(settings)
    assert {name for name in before if name.startswith("followed")} == {"followed.trick", "followed.helper"}
    assert "followed" not in sys.modules, "nothing is imported"
    (mine / "other.py").write_text("X = 2\n")
    assert edited([before], Reader().of(settings)) == []
    (mine / "helper.py").write_text("def f(batch, key):\n    return 2 * batch\n")
    assert edited([before], Reader().of(settings)) == ["followed/helper.py"]
    (mine / "helper.py").write_text("def f(batch, key:\n")
    assert edited([before], Reader().of(settings)) == ["followed/helper.py"]


def test_a_file_that_a_trick_is_given_counts(tmp_path: Path) -> None:
    table = tmp_path / "table.txt"
    table.write_text("one")
    settings = {**config(*TINY), "aug": {"mine": {"_target_": "mine.trick", "table": str(table), "mode": "edge"}}}
    before = Reader().of(settings)
    assert edited([before], Reader().of(settings)) == []
    table.write_text("other")
    assert edited([before], Reader().of(settings)) == [f"aug.mine.table={table}"]


def test_files_in_a_list_count_too(tmp_path: Path) -> None:
    low, high = tmp_path / "low.txt", tmp_path / "high.txt"
    low.write_text("0.1")
    high.write_text("0.9")
    nested = {"levels": [1, [str(low)], {"top": str(high)}]}
    settings = {**config(*TINY), "aug": {"mine": {"_target_": "mine.trick", **nested}}}
    before = Reader().of(settings)
    high.write_text("0.8")
    assert edited([before], Reader().of(settings)) == [f"aug.mine.levels={high}"]
    assert set(Reader().parts(settings)["aug.mine.levels"]) == {f"aug.mine.levels={file}" for file in (low, high)}


def test_contents_that_two_modules_exchange_are_edits() -> None:
    then = {"mine.a": "1", "mine.b": "2", "mine.c": "3"}
    assert edited([then], {**then, "mine.a": "2", "mine.b": "1"}) == ["mine/a.py", "mine/b.py"]
    assert edited([then], {**then, "mine.c": "2"}) == ["mine/c.py"]
    assert edited([then], {"mine.a": "1", "mine.b": "2", "moved.c": "3"}) == []


def test_what_was_read_otherwise_is_not_compared(tmp_path: Path) -> None:
    (tmp_path / "attempt-1").mkdir()
    (tmp_path / "attempt-1" / code.CODE).write_text(json.dumps({"step": 0, "modules": {"ablation.train": "1"}}))
    assert code.counted(tmp_path) == []


def test_attempts_that_began_anew_take_the_earlier_ones_back(tmp_path: Path) -> None:
    for number, step in ((1, 0), (2, 0), (3, 20)):
        folder = tmp_path / f"attempt-{number}"
        folder.mkdir()
        code.keep(folder, step, {"ablation.train": str(number)})
    (tmp_path / "attempt-4").mkdir()  # from before code was kept, or killed before it began
    assert code.counted(tmp_path) == [{"ablation.train": "2"}, {"ablation.train": "3"}]
    assert edited(code.counted(tmp_path), {"ablation.train": "3"}) == ["train.py"]
    assert edited(code.counted(tmp_path / "none"), {"ablation.train": "3"}) == []


TRAIN = """
import json, sys
from pathlib import Path
from ablation.trial.parts import parts
from ablation.trial import run
from ablation.trial.observer import Watch
class Quiet(Watch):
    note = begin = tick = epoch = end = lambda *_: None
settings = json.loads(sys.argv[1])
run.run(settings, parts(settings), Path(sys.argv[2]), Quiet())
print(json.dumps(sorted(sys.modules)))
"""


def test_whatever_is_loaded_for_a_training_counts_or_is_bookkeeping(tmp_path: Path) -> None:
    """So that no module that computes can be forgotten; and the attempt keeps what it was trained by."""
    settings = config(*TINY, *SMALL_MODEL, "epochs=1", "aug=[cutout,mixup]", "regularizer=ema")
    line = [sys.executable, "-c", TRAIN, json.dumps(settings), str(tmp_path / "run")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=CONF.parent)
    assert done.returncode == 0, done.stderr
    known = Reader().of(settings)
    # For teachers, and for schedules of steps.
    here = {"ablation.trial.run", "ablation.trial.teacher_weights", "ablation.sched._steps"}
    loaded = {*json.loads(done.stdout)}
    ours = {name for name in loaded if name.startswith("ablation.")}
    files = {name for name in ours if (CONF.parent / f"{name.replace('.', '/')}.py").is_file()}
    assert {name for name in files if not reader.apart(name)} - here <= known.keys()
    assert code.counted(tmp_path / "run" / "seed-0") == [known]
    assert "sklearn" not in loaded, "it would take longer than the training: the digits are read without it"


def test_a_part_s_digest_tells_what_was_edited_in_it_whichever_attempt_ran_it(tmp_path: Path) -> None:
    parts = {"loop": {"ablation.train": "1"}, "aug.mine": {"mine": "2"}}
    whole = {"ablation.train": "1", "mine": "2"}

    numbers = itertools.count()

    def digests(*attempts: dict[str, str], teachers: code.Taught | None = None) -> dict[str, str]:
        seed = tmp_path / str(next(numbers))
        for number, modules in enumerate(attempts):
            (seed / f"attempt-{number + 1}").mkdir(parents=True)
            code.keep(seed / f"attempt-{number + 1}", number, modules, teachers)
        return code.digests(seed, parts)

    plain = digests(whole)
    assert list(plain) == ["loop", "aug.mine"]
    assert digests(whole, whole) == plain  # resumed
    edited = digests(whole, whole | {"mine": "3"})  # resumed after an edit
    assert edited["loop"] == plain["loop"]
    assert edited["aug.mine"] not in (plain["aug.mine"], digests(whole | {"mine": "3"})["aug.mine"])
    taught = [digests(whole, teachers={"0123": [{"ablation.train": of}]}) for of in "12"]
    assert taught[0]["teacher"] != taught[1]["teacher"]


def test_a_result_says_which_code_it_is_of(tmp_path: Path) -> None:
    settings = config(*TINY, *SMALL_MODEL, "aug=cutout", "epochs=1")
    parts = Reader().parts(settings)
    assert set(parts) == {"loop", "data", "data.view.pad_crop", "model", "aug.cutout", "loss", "optim", "sched"}
    assert "ablation.train" in parts["loop"]
    assert "ablation.aug.cutout" in parts["aug.cutout"]
    assert all(not parts["loop"].keys() & modules.keys() for part, modules in parts.items() if part != "loop")
    outcome = run(settings, tmp_path / "run")[0]
    assert isinstance(outcome, dict)
    assert set(outcome["code"]) == set(parts)


def test_what_counts_as_before_differs_from_it_in_its_imports_only() -> None:
    """Against the code in a folder of runs from before the files were moved; what was edited since counts by itself."""

    def imports(node: ast.stmt) -> bool:
        for_type_checkers = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        return for_type_checkers or isinstance(node, ast.Import | ast.ImportFrom)

    def rest(text: bytes) -> str:
        return ast.dump(ast.Module([node for node in ast.parse(text).body if not imports(node)], []))

    with tarfile.open(ARCHIVE) as archive:
        members = [m for m in archive if ".code/" in m.name and "/ablation/" in m.name and m.name.endswith(".py")]
        then = {_digest(text): text for m in members if (file := archive.extractfile(m)) and (text := file.read())}
    now = {_digest(text): text for path in (CONF.parent / "ablation").rglob("*.py") if (text := path.read_bytes())}
    there = BEFORE.keys() & now.keys()
    assert there, "nothing is left of what was moved: the list may go"
    assert [new for new in there if rest(now[new]) != rest(then[BEFORE[new]])] == []


def _digest(text: bytes) -> str:
    return hashlib.sha256(syntax.bare(text, "ablation")[0].encode()).hexdigest()[:16]
