"""Who imports whom, read from the syntax trees: what runs late, in a function, counts as well."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One imported module, and where."""

    line: int
    module: str

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.module.split(".")[0]


def statements_in(node: ast.AST) -> Iterator[ast.AST]:
    """What of a node may hold an import: no expression does, and most nodes are expressions."""
    return (each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.expr))


def imports_of(file: Path) -> Iterator[Import]:
    """Every import in a file but those for the type checker only."""

    def visit(node: ast.AST) -> Iterator[Import]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for other in node.orelse:
                yield from visit(other)
            return
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from a import b` may import the module a.b: both are looked at.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            yield from (Import(node.lineno, name) for name in names)
        for child in statements_in(node):
            yield from visit(child)

    return visit(ast.parse(file.read_text(encoding="utf-8"), str(file)))


def modules_of(files: Iterable[Path]) -> set[str]:
    """Every module that one of the files imports."""
    return {found.module for file in files for found in imports_of(file)}


def modules_below(root: Path, package: str) -> dict[str, Path]:
    """The file of every module of a package in `root`, by the module's name."""
    found = {}
    for file in (root / package).rglob("*.py"):
        words = file.relative_to(root).with_suffix("").parts
        found[".".join(words[:-1] if words[-1] == "__init__" else words)] = file
    return found


def reached(modules: Mapping[str, Path], first: Iterable[str]) -> set[str]:
    """Those of `modules` that run when `first` are imported and whatever they do is done.

    One that walks packages, as registries do, imports all modules of each that it names.
    """
    found: set[str] = set()
    left = [*first]
    while left:
        name = left.pop()
        if name in modules and name not in found:
            found.add(name)
            named = modules_of([modules[name]])
            # A module's package runs before it.
            left += [name.rpartition(".")[0], *named]
            if "iter_modules(" in modules[name].read_text(encoding="utf-8"):
                walked = tuple(f"{each}." for each in {name, *named} if "." in each)
                left += [each for each in modules if each.startswith(walked)]
    return found
