"""A module's code as text, without what makes no difference to what it computes.

Left out are comments and layout, docstrings, what only type checkers look at, and where the project's own modules are
imported from, so that its files may be moved. Annotations of arguments and of classes' fields are kept: configurations
are read by them, and fields are made of them; and what is raised is kept whole, as it may carry a number to whoever
catches it. Every version of Python gives the same text.
"""

from __future__ import annotations

import ast
from typing import Any

_LEFT_OUT = ("ctx", "kind", "returns", "type_comment", "type_ignores")  # fields of nodes


def bare(source: bytes, package: str) -> tuple[str, set[str]]:
    """The text, empty if nothing is left, and the dotted names that are imported in it; `package` is the module's own.

    Raises:
        SyntaxError, ValueError: it is no Python.
    """
    reader = _Bare(package)
    tree = reader.visit(ast.parse(source))
    return _text(tree) if tree.body else "", reader.imports


class _Bare(ast.NodeTransformer):
    """Takes out of a tree what is to be left out."""

    def __init__(self, package: str) -> None:
        self.imports: set[str] = set()
        self._package = package
        self._in_function = False

    def _within(self, node: ast.AST, function: bool) -> ast.AST:
        before, self._in_function = self._in_function, function
        self.generic_visit(node)
        self._in_function = before
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._within(node, function=True)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._within(node, function=True)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._within(node, function=False)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Text that nobody reads, docstrings included."""
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """In a function, an assignment or nothing."""
        if not self._in_function:
            return self.generic_visit(node)
        return self.generic_visit(ast.Assign([node.target], node.value)) if node.value else None

    def visit_If(self, node: ast.If) -> Any:
        """What only type checkers import is not imported."""
        if "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", "")):
            rest: Any = self.visit(ast.Module(node.orelse, []))
            return rest.body
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        self.imports |= {alias.name for alias in node.names}
        for alias in node.names:
            if _moves(alias.name):
                alias.name = alias.name.rpartition(".")[2]
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        if node.module == "__future__":
            return None
        above = self._package.split(".")
        base = above[: len(above) - node.level + 1] if node.level else []
        module = ".".join([*base, *filter(None, [node.module])])
        self.imports |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        return ast.ImportFrom(None if _moves(module) else module, node.names, 0)


def _moves(module: str) -> bool:
    """The project's own, whose file may be moved; which of two it is, is told by the modules that are reached."""
    return module.partition(".")[0] == "ablation"


def _text(node: Any) -> str:
    if isinstance(node, list):
        return f"[{','.join(map(_text, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, getattr(node, name, None)) for name in node._fields if name not in _LEFT_OUT)
    kept = ",".join(f"{name}={_text(value)}" for name, value in fields if value is not None and value != [])
    return f"{type(node).__name__}({kept})"
