"""Which code a configuration runs: a digest of every module that its numbers come from, to tell what was edited since.

Counted are the loop and what prepares and measures, the factories that the configuration names, and whatever of the
project's and of the user's own modules these import by an `import` statement, and what a student's teacher was trained
by. A module counts as syntax.py reads it, so that comments and docstrings make no difference. Not seen are modules
whose names are made up at run time, folders, and files that a module opens by itself; what is installed is left to its
version. Nothing is imported for this, and digests are remembered by path, size and times of change.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ablation.source import syntax
from ablation.source.installed import installed
from ablation.source.moved_digests import BEFORE
from ablation.store.atomic import read_mapping, write_atomic
from ablation.store.cache import directory
from ablation.store.code import READING, Modules
from ablation.store.identity import flatten

ROOTS = ("ablation.trial.prepare", "ablation.train", "ablation.trial.recorder")
# Who trains it, what is written down of it, what is refused and what is told: no number comes from these.
APART = (
    "contract", "errors", "source", "store", "track",
    "machine.allowance", "machine.compiling", "machine.device", "machine.faults", "machine.memory", "machine.threads",
    "trial.observer", "trial.replica", "trial.result_facts", "trial.too_short",
)  # fmt: skip
_TRICKS = ("model", "init", "aug", "regularizer", "loss", "optim", "sched")  # groups; data have digests of their own
_PROJECT = Path(__file__).resolve().parents[2]
_DIGITS = 16


class _Module(NamedTuple):
    digest: str  # empty if nothing is left of it
    imports: tuple[str, ...]  # dotted names, of modules or of what is in them


class Reader:
    """Reads every file once: what was edited after a process has started is not what it runs."""

    def __init__(self, project: Path = _PROJECT) -> None:
        self._project, self._store = project, directory() / f"code-{READING}.json"
        self._known: dict[str, list[Any]] = read_mapping(self._store)
        self._new = False
        self._modules: dict[str, _Module | None] = {}
        self._from: dict[str, Modules] = {}

    def of(self, config: Mapping[str, Any]) -> Modules:
        """The modules that a configuration runs; those without code are left out."""
        return joined(self.parts(config))

    def parts(self, config: Mapping[str, Any]) -> dict[str, Modules]:
        """The same by what needs it: `loop` for what every training runs, and beside that `model`, `aug.mixup`."""
        roots = [("loop", root) for root in ROOTS] + list(_named(config))
        if config.get("teacher"):
            roots.append(("teacher", "ablation.trial.teacher_weights"))
        parts: dict[str, Modules] = {}
        for part, root in roots:
            of_loop = parts.get("loop", {}) if part != "loop" else {}
            found = {name: digest for name, digest in self._reached(root).items() if name not in of_loop}
            parts.setdefault(part, {}).update(found)
        for key, file, digest in self._files(config):
            parts.setdefault(key, {})[file] = digest
        self._remember()
        return {part: modules for part, modules in parts.items() if modules}

    def _files(self, config: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
        """Files that tricks are given by name, such as a table of colours: key, `aug.mine.table=lut.npy`, digest."""
        for key, given in flatten({group: config.get(group, {}) for group in _TRICKS}).items():
            for value in _texts(given) if not key.endswith("_target_") else ():
                if (path := Path(value).expanduser()).is_file():
                    yield key, f"{key}={value}", self._known_as(key, path.absolute(), _digested).digest

    def _reached(self, root: str) -> Modules:
        """A module with its packages, and what they import."""
        if root not in self._from:
            found: dict[str, _Module] = {}
            todo = _with_parents(root)
            while todo:
                name = todo.pop()
                module = None if name in found or apart(name) else self._module(name)
                if module is not None:
                    found[name] = module
                    todo += [parent for imported in module.imports for parent in _with_parents(imported)]
            self._from[root] = {name: module.digest for name, module in found.items() if module.digest}
        return self._from[root]

    def _module(self, name: str) -> _Module | None:
        """None: it is no module, or not the project's or the user's."""
        if name not in self._modules:
            path = _path(name, self._project)
            self._modules[name] = None if path is None else self._known_as(name, path, _parsed)
        return self._modules[name]

    def _known_as(self, name: str, path: Path, read: Callable[[str, Path], _Module]) -> _Module:
        """What a file was read as, if it has not changed since."""
        stat = path.stat()
        stamp = [name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        known = self._known.get(str(path))
        if not isinstance(known, list) or known[:4] != stamp:
            module = read(name, path)
            known = self._known[str(path)] = [*stamp, module.digest, list(module.imports)]
            self._new = True
        return _Module(BEFORE.get(known[4], known[4]), tuple(known[5]))

    def _remember(self) -> None:
        if self._new:
            self._new = False
            with suppress(OSError):  # a folder that cannot be written is done without
                self._store.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self._store, json.dumps(self._known).encode())


def joined(parts: Mapping[str, Modules]) -> Modules:
    """The modules of all parts, by name."""
    return dict(sorted((name, digest) for modules in parts.values() for name, digest in modules.items()))


@cache
def here() -> Reader:
    """This process's: the code that it has loaded does not change any more."""
    return Reader()


def _named(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The factories' keys and modules, and the view's, which is named without its module."""
    for key, value in flatten(config).items():
        if key.endswith("._target_"):
            yield key.removesuffix("._target_"), str(value).rpartition(".")[0]
    view = config.get("data", {}).get("view")
    for name in view if isinstance(view, Mapping) else [view]:
        yield f"data.view.{name}", f"ablation.data.view.{name}"


def _texts(value: Any) -> Iterator[str]:
    """A text, or those in a list, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))


def apart(name: str) -> bool:
    """Whether no number comes from a module."""
    return f"{name}.".startswith(tuple(f"ablation.{apart}." for apart in APART))


def _with_parents(name: str) -> list[str]:
    """Importing a module runs its packages too."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


@cache
def _path(name: str, project: Path) -> Path | None:
    """The file of one's own module; of what is installed, built in, no module, or a package without a file: None."""
    top, *rest = name.split(".")
    for place in _places(top, project):
        inner = place.joinpath(*rest)
        for file in (inner / "__init__.py", inner.with_suffix(".py")) if rest or place.is_dir() else (place,):
            if file.is_file():
                return file
    return None


@cache
def _places(top: str, project: Path) -> tuple[Path, ...]:
    """The folders of a package, or the file of a module."""
    if top == "ablation":
        return (project / "ablation",)
    if top in sys.stdlib_module_names or top in ("launch", "results"):
        return ()
    try:
        spec = importlib.util.find_spec(top)  # imports nothing, as the name is no dotted one
    except (ValueError, ImportError):
        return ()
    found = [] if spec is None else [*(spec.submodule_search_locations or ([spec.origin] if spec.origin else []))]
    places = [Path(place) for place in found if (place and place.endswith(".py")) or Path(place).is_dir()]
    return tuple(place for place in places if not installed(place.resolve()))


def _parsed(name: str, path: Path) -> _Module:
    text = path.read_bytes()
    try:
        bare, imports = syntax.bare(text, name if path.name == "__init__.py" else name.rpartition(".")[0])
    except (SyntaxError, ValueError):  # it cannot run either; its bytes have to do
        bare, imports = repr(text), set()
    digest = hashlib.sha256(bare.encode()).hexdigest()[:_DIGITS] if bare else ""
    return _Module(digest, tuple(sorted(imports)))


def _digested(_: str, path: Path) -> _Module:
    with path.open("rb") as file:
        return _Module(hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS], ())
