"""What a model's fields are for: the docstrings below them, read only when they are wanted."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import cast

from pydantic import BaseModel


def field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Docstrings that stand below fields, by field, those of inherited fields among them."""
    words: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if owner is BaseModel or not issubclass(owner, BaseModel):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        statements = cast(ast.ClassDef, body).body
        for field, below in pairwise(statements):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ) if name in model.model_fields:
                    words[name] = inspect.cleandoc(text)
    return words
