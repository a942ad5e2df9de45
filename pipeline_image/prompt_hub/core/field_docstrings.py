"""What a model's fields are for: the docstrings below them, read only when they are wanted."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


def field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Docstrings that stand below fields, by field, those of inherited fields among them."""
    words: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if owner is BaseModel or not issubclass(owner, BaseModel):
            continue
        found = _docstrings(owner.__module__)[owner.__qualname__]
        words |= {name: text for name, text in found.items() if name in model.model_fields}
    return words


@cache
def _docstrings(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings below annotated names, by the qualified name of their class.

    `inspect` looks for one class by reading the whole module, so each module is read once for all
    of its classes.
    """
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {name: dict(_below_names(body)) for name, body in _classes(tree.body, "")}


def _classes(statements: list[ast.stmt], prefix: str) -> Iterator[tuple[str, list[ast.stmt]]]:
    for statement in statements:
        match statement:
            case ast.ClassDef(name=name, body=body):
                yield prefix + name, body
                yield from _classes(body, f"{prefix}{name}.")
            case ast.FunctionDef(name=name, body=body) | ast.AsyncFunctionDef(name=name, body=body):
                yield from _classes(body, f"{prefix}{name}.<locals>.")


def _below_names(statements: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(statements):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)
