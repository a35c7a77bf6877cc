"""What somebody may type, right or wrong: overrides in all of Hydra's grammar, and values of YAML for every key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from hypothesis import strategies as st
from tiny import CONF, options

from ablation.config import GROUPS, MANY

LAUNCHERS = tuple(path.stem for path in sorted((CONF / "hydra" / "launcher").glob("[!_]*.yaml")))
ALL_GROUPS = (*GROUPS, *MANY, "recipe")

_GO_ON = ("check", "probe", "to", "publish")  # these train some steps or write files before `out` is looked at
LARGE = ("1000000000", "1" + 30 * "0")  # of `bins`, a policy makes a table with a row for each before it is refused
# Words that mean something to Hydra, to YAML, to Python or to this project, or that nothing knows.
WORDS = (
    "", "0", "1", "-1", "2", "3", "0.5", "1.0", "-0.0", "1e-3", "1e400", "-1e400", "1e-400", "nan", "NaN", "inf",
    "-inf", "1_000", "010", "0x10", "1:30", "1" + 30 * "0", "1000000000", "-1000000000000",
    "null", "NULL", "~", "true", "false", "yes", "off", "None", "auto", "same", "text", "first:0.5", "first:x", "8G",
    "größe", "日本", "🙂", "a b", "a-b", "a.b", "a/b", "a:b", "a@b", "a%b", "a+b", "a\\b", "a$b", "*", "%", "?", "-",
    "'x'", '"x"', "''", '""', "'1'", '"null"', "'it''s'", "'", '"', "[", "]", "{", "}", "(", ")", "[]", "{}", "[[]]",
    "[1,2]", "[0,1,2]", "[null]", "[nan]", "[a,[b]]", "[a,a]", "[1,x]", "[0.1,0.2]", "{a:1}", "{a:{b:[1]}}", "{a:null}",
    "{1:2}", "{_target_:a.b}", "{_target_:ablation.aug.cutout.cutout}", "{_target_:5}",
    "a,b", "1,2", "1,", ",", ",,", "null,1", "nan,1", "[],[1]", "{a:1},{a:2}", "'a,b'",
    "range(3)", "range(1,4)", "range(0,1,0.25)", "range(0)", "range(3,1)", "range(1,2,0)", "range(a)", "range(nan)",
    "choice(1,2)", "choice()", "choice(a)", "glob(*)", "glob(x*)", "glob(*,exclude=r*)", "interval(0,1)", "tag(x,1)",
    "shuffle(1,2)", "sort(2,1)", "int(1.5)", "int(x)", "float(x)", "str(1)", "bool(x)", "bool(yes)", "nope(1)",
    "${out}", "${nope}", "${epochs}", "${", "${}", "$", "${oc.env:HOME}", "${oc.env:NO_SUCH_VARIABLE}", "${now:%Y}",
    "${nope:1}", "${.lr}", "${optim.lr}", "${aug}", "???", "_target_", "a=b", "=", "==", "#", "a #b", "\\", "\\,", "\t",
)  # fmt: skip

LETTERS = "abxyzABZ0189__--::,,==  '\"[]{}()<>$\\\\#%+*~@!?|&;^`äß日🙂\t"
YAML = (
    "2020-01-01", "2020-01-01 10:00:00", "!!binary aGk=", "!!set {a}", "!!python/name:os.system", "!nope x", "&x [*x]",
    "*nope", "|\n  a\n  b", ">", "@", "`", "%", "- a", "? a", "...", "---", "'unclosed", "{a: 1, a: 2}", "{true: 1}",
    "{null: 1}", "{[1]: 2}", "{1.5: 2}", ".nan", ".inf", "-.inf", "0o10", "012", "1:30", "a: b", "a # b", "#", "\t",
    "\"${nope}\"", "${out}", "[1, 2", "[[[[[[1]]]]]]", "{a: {b: {c: 1}}}", "'null'", "!!str 1", "!!int x", "!!float 1",
)  # fmt: skip
plain = st.text(LETTERS, max_size=8)


def _keys(node: Any, path: str) -> list[str]:
    """Dotted keys of a file's values, inner nodes too."""
    if not isinstance(node, dict):
        return []
    own = [f"{path}.{key}" if path else str(key) for key in node if key != "defaults"]
    return own + [inner for key in node if key != "defaults" for inner in _keys(node[key], f"{path}.{key}".strip("."))]


def _of_options() -> list[tuple[str, str]]:
    """Each key of each option with the choice that makes it one: ("aug=mixup", "aug.mixup.alpha")."""
    found = []
    for group in (*GROUPS, *MANY):
        for option in options(group):
            node = yaml.safe_load((CONF / group / f"{option}.yaml").read_text())
            found += [(f"{group}={option}", key) for key in _keys(node, group)]
    return found


def _of_launchers() -> list[tuple[str, str]]:
    folder, found = CONF / "hydra" / "launcher", []
    for name in LAUNCHERS:
        node = yaml.safe_load((folder / f"{name}.yaml").read_text())
        shared = yaml.safe_load((folder / "_retry.yaml").read_text()) if "_retry" in node.get("defaults", ()) else {}
        keys = [key for key in _keys({**shared, **node}, "") if key not in _GO_ON]
        found += [(f"hydra/launcher={name}", f"hydra.launcher.{key}") for key in keys]
    return found


TOP = tuple(key for key in _keys(yaml.safe_load((CONF / "config.yaml").read_text()), "") if not key.startswith("hydra"))
OF_OPTIONS, OF_LAUNCHERS = _of_options(), _of_launchers()
OF_SWEEPER = tuple(f"hydra.sweeper.{key}" for key in yaml.safe_load((CONF / "hydra/sweeper/grid.yaml").read_text()))
GRID = ("params", "zip", "union", "rows", "exclude")

words = st.sampled_from(WORDS)
scalars = words | plain
quoted = st.builds(lambda text, mark: f"{mark}{text}{mark}", plain, st.sampled_from("'\""))
nested = st.recursive(
    scalars | quoted,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda found: f"[{','.join(found)}]")
        | st.lists(st.tuples(scalars, inner), max_size=3).map(
            lambda found: f"{{{','.join(f'{k}:{v}' for k, v in found)}}}"
        )
    ),
    max_leaves=4,
)
swept = st.lists(nested, min_size=2, max_size=3).map(",".join)
called = st.builds(
    "{}({})".format,
    st.sampled_from(("choice", "range", "glob", "sort", "shuffle", "tag", "float", "str")),
    swept | scalars,
)
good = words.filter(lambda word: word.replace(".", "").replace("-", "").isalnum())
values = good | good | good | good | words | words | words | plain | quoted | nested | swept | called
signs = st.sampled_from((*12 * ("",), "+", "++", "~", "-", "~~", "+~"))


@st.composite
def mangled(draw: st.DrawFn, key: str) -> str:
    """A key as typed in a hurry."""
    way = draw(st.sampled_from((*24 * ("",), "drop", "twice", "upper", "more", "at", "dot", "sub", "space")))
    place = draw(st.integers(0, max(0, len(key) - 1)))
    return {
        "": key, "drop": key[:place] + key[place + 1 :], "twice": key[:place] + key[place:place + 1] + key[place:],
        "upper": key.upper(), "more": f"{key}.{draw(scalars)}", "at": f"{key}@{draw(scalars)}", "dot": f"{key}.",
        "sub": f"{key}.0", "space": f" {key} ",
    }[way]  # fmt: skip


@st.composite
def override(draw: st.DrawFn, key: str) -> str:
    """Something typed for a key."""
    group, _, rest = key.partition(".")
    value = draw(values)
    if not rest and group in (*GROUPS, *MANY, "recipe") and draw(st.booleans()):
        names = [*options(group), "nope", "null", "1"]
        value = draw(
            st.sampled_from(names) | st.lists(st.sampled_from(names), max_size=3).map(lambda n: f"[{','.join(n)}]")
        )
    sign = draw(signs)
    if value in LARGE and key.endswith(".bins"):
        value = "x"
    if sign == "~" and draw(st.booleans()):
        return f"~{key}"
    return f"{sign}{draw(mangled(key))}={value}"


@st.composite
def arm(draw: st.DrawFn) -> list[str]:
    """A line that asks for one arm, or means to."""
    typed: list[str] = []
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        kind = draw(st.sampled_from((*8 * ("option",), *4 * ("top",), *3 * ("group",), "wild")))
        if kind == "option":
            choice, key = draw(st.sampled_from(OF_OPTIONS))
            typed += [choice] if draw(st.integers(0, 7)) else []
            typed.append(draw(override(key)))
        elif kind == "top":
            typed.append(draw(override(draw(st.sampled_from(TOP)))))
        elif kind == "group":
            typed.append(draw(override(draw(st.sampled_from(ALL_GROUPS)))))
        else:
            typed.append(
                draw(st.builds("{}{}{}".format, scalars, st.sampled_from(("=", "", ":", "==", " = ")), values))
            )
    return typed


@st.composite
def sweep(draw: st.DrawFn) -> list[str]:
    """A line that asks for a sweep, or means to."""
    typed = draw(arm()) if draw(st.booleans()) else []
    kind = draw(st.sampled_from(("launcher", "launcher", "sweeper", "table", "flag", "choice")))
    if kind == "launcher":
        choice, key = draw(st.sampled_from(OF_LAUNCHERS))
        typed += [choice] if draw(st.integers(0, 7)) else []
        typed.append(draw(override(key)))
    elif kind == "sweeper":
        key = draw(st.sampled_from(OF_SWEEPER))
        lines = st.lists(arm().map(" ".join), min_size=1, max_size=2)
        grids = (
            lines.map(lambda found: "[" + ",".join(f'"{line}"' for line in found) + "]")
            | st.builds("[{{{}:{}}}]".format, st.sampled_from((*GRID, "optim.lr", "aug", "label")), nested)
            | st.builds(
                "{{{}:{}}}".format, st.sampled_from(("optim.lr", "aug", "batch_size", "epochs", "table", "a b")), nested
            )
        )
        value = draw(grids | values)
        typed.append(f"{draw(st.sampled_from(('', '', '++', '+')))}{key}={value}")
    elif kind == "table":
        name = draw(st.sampled_from(("start", "lab/eta", "stages", "start,lab/eta", "[start]")) | values)
        typed.append(f"{draw(signs)}table={name}")
        typed.append(draw(override(draw(st.sampled_from((*TOP, "hydra.sweeper.baseline", "hydra.sweeper.rank"))))))
    elif kind == "choice":
        key = draw(st.sampled_from(("hydra/launcher", "hydra/sweeper", "hydra.searchpath")))
        typed.append(f"{draw(signs)}{key}={draw(values)}")
    if not any(text.startswith("hydra/launcher=") for text in typed):
        typed.insert(0, "hydra/launcher=plan")
    if "hydra/launcher=local" in typed:
        typed.insert(0, "hydra.launcher.check=false")
    typed.insert(draw(st.integers(0, len(typed))), "-m")
    return typed


def of_yaml(options_of: Sequence[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str, str]]:
    """An option (group=name), one of its keys, and what stands after it in a file."""
    return st.builds(lambda option, value: (*option, value), st.sampled_from(options_of), st.sampled_from(YAML) | words)


def file_of(option: str, key: str, value: str) -> tuple[str, str]:
    """Where a file of options lies, and its text: that of `option`, with this value for this key."""
    group, _, name = option.partition("=")
    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
    *above, last = key.removeprefix("hydra.launcher.").removeprefix(f"{group}.").split(".")
    inner = node
    for step in above:
        inner = inner.setdefault(step, {})
    inner[last] = "@@@"
    return f"{group}/mine.yaml", yaml.safe_dump(node, sort_keys=False).replace("'@@@'", value)
