"""What mypy does not read of the CDK library is out of our types' reach, so nothing is missed.

A part that is left out is `Any` to mypy, which finds no fault with any use of it.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKED = ("app.py", "cdk_app", "stacks", "docs", "local_aws", "benchmarks", "pipeline_image")
NAMES_ALL_PARTS = {"aws_cdk", "aws_cdk.interfaces"}
"""They import every part for its name alone: that makes no use of a type."""
FOR_TYPES = re.compile(r"^ +import (aws_cdk[\w.]*) as ", re.MULTILINE)
"""How a part that CDK has generated imports another."""


def unread() -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    overrides = settings["tool"]["mypy"]["overrides"]
    return {
        module
        for override in overrides
        if override.get("follow_imports") == "skip"
        for module in override["module"]
    }


def imported_by_us() -> Iterator[str]:
    """Every module of the library, and of what stands on it, that a checked file imports."""
    for name in CHECKED:
        where = ROOT / name
        for file in where.rglob("*.py") if where.is_dir() else [where]:
            for node in ast.walk(ast.parse(file.read_bytes())):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module
                    yield from (f"{node.module}.{alias.name}" for alias in node.names)


def source_of(module: str) -> Path | None:
    """The file of a module; None where the name is that of something inside one."""
    spec = importlib.util.find_spec("aws_cdk")
    assert spec is not None
    assert spec.origin is not None
    where = Path(spec.origin).parents[1].joinpath(*module.split("."))
    files = (where / "__init__.py", where.with_name(f"{where.name}.py"))
    return next(filter(Path.exists, files), None)


def reached() -> set[str]:
    ours = {name for name in imported_by_us() if name.startswith(("aws_cdk", "cdk_monitoring"))}
    found: set[str] = set()
    waiting = [*ours, *NAMES_ALL_PARTS]
    while waiting:
        module = waiting.pop()
        if module in found or (file := source_of(module)) is None:
            continue
        found.add(module)
        waiting += FOR_TYPES.findall(file.read_text(encoding="utf-8"))
    return found


def test_no_type_that_we_use_leads_to_a_part_that_mypy_does_not_read() -> None:
    found = reached()
    assert {"aws_cdk.aws_ecs", "aws_cdk.aws_servicediscovery"} <= found, "used, and reached by it"
    assert unread()
    within_reach = unread() & found
    assert not within_reach, "take them from the list in pyproject.toml: mypy is to read them"


def test_each_part_that_mypy_does_not_read_is_there() -> None:
    assert [module for module in unread() if source_of(module) is None] == []
