"""What a tier promises: the fast ones draw nothing, and what draws draws the same every time."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.unit.make_plans import plan_of
from tests.unit.module_imports import statements_in

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
FAST = ("unit", "lambdas")
OURS = {"prompt_hub"}
TYPES_ALONE = {"mypy_boto3_cloudwatch", "mypy_boto3_dynamodb", "mypy_boto3_ecs"}
"""Imported where types are checked, and nowhere else."""


@cache
def imported(path: Path) -> frozenset[str]:
    """The top-level packages that a file imports."""
    found = set()
    left: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while left:
        node = left.pop()
        left += statements_in(node)
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return frozenset(found)


def test_what_draws_its_data_is_a_property_test() -> None:
    # This file asks hypothesis only for its settings.
    drawing = [
        path.relative_to(ROOT).as_posix()
        for tier in FAST
        for path in (TESTS / tier).rglob("*.py")
        if "hypothesis" in imported(path) and path != Path(__file__)
    ]
    assert drawing == []
    assert any("hypothesis" in imported(path) for path in (TESTS / "property").rglob("*.py"))


def test_what_a_pipeline_runs_needs_only_what_it_installs() -> None:
    """Its action Tests runs the fast tests, with the packages of `requirements.lock` alone."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    owners = packages_distributions()
    missing = {
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for tier in FAST
        for path in (TESTS / tier).rglob("*.py")
        for name in imported(path) - OURS - TYPES_ALONE
        if name in owners and locked.isdisjoint(map(canonicalize_name, owners[name]))
    }
    assert missing == set()


def test_processes_that_fast_tests_start_find_the_package_where_it_is_not_installed() -> None:
    """A pipeline's build has it on PYTHONPATH alone, which `python -I` does not look at."""
    isolated = re.compile(r"""["']-[A-Za-z]*I[A-Za-z]*["']""")
    found = [
        path.relative_to(ROOT).as_posix()
        for tier in FAST
        for path in (TESTS / tier).rglob("*.py")
        if isolated.search(path.read_text(encoding="utf-8")) and path != Path(__file__)
    ]
    assert found == []


def test_no_test_file_imports_another() -> None:
    importing = [
        path.relative_to(ROOT).as_posix()
        for path in TESTS.rglob("*.py")
        if re.search(r"^ *from tests\.(\w+\.)*test_", path.read_text(encoding="utf-8"), re.M)
    ]
    assert importing == []


def test_unless_asked_for_new_draws_hypothesis_repeats_itself() -> None:
    # Imported here: no other test of this tier needs it, and every worker would wait for it.
    import_module("tests.property.conftest")
    from hypothesis import settings

    assert settings().derandomize
    assert not settings.get_profile("fresh").derandomize


@pytest.mark.shipped
def test_every_folder_of_tests_is_a_tier_that_a_target_runs() -> None:
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    documented = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    assert {folder for folder in folders if f"tests/{folder}" not in makefile} == set()
    assert {folder for folder in folders if f"`tests/{folder}`" not in documented} == set()


def pytest_runs(target: str) -> list[list[str]]:
    """The words of each call of pytest that `make target` would make."""
    return [shlex.split(line) for line in plan_of(target) if "/pytest " in line]


@pytest.mark.processes
@pytest.mark.shipped
def test_what_a_machine_lacks_is_said_before_the_first_test() -> None:
    packages, browser, *_ = plan_of("test")
    assert packages.endswith(" local_aws/prepare.py")
    assert browser.endswith(" local_aws/prepare.py --browser")


@pytest.mark.processes
@pytest.mark.shipped
def test_make_test_runs_every_file_once() -> None:
    """Whole files: no mark leaves a test of one out. What it leaves out has a target of its own."""
    runs = pytest_runs("test") + pytest_runs("stuck-states")
    assert not any("-m" in words for words in runs)
    for path in TESTS.rglob("test_*.py"):
        name = path.relative_to(ROOT).as_posix()
        inside = {name, *(folder.as_posix() for folder in Path(name).parents)}
        taken = [words for words in runs if inside & set(words) and f"--ignore={name}" not in words]
        assert len(taken) == 1, name
    assert not any(word.startswith("--ignore") for words in pytest_runs("local") for word in words)


@pytest.mark.processes
@pytest.mark.shipped
def test_what_stays_in_its_process_and_what_does_not_are_all_that_is_counted() -> None:
    (unit,), (processes,), (counted,) = map(pytest_runs, ("unit", "processes", "coverage"))
    assert unit[-2:] == ["-m", "not processes"]
    assert processes == [*unit[:-1], "processes"]
    assert unit[:-2] == counted[: len(unit) - 2]


@pytest.mark.processes
@pytest.mark.shipped
def test_files_that_begin_first_are_there() -> None:
    """The order in which workers take the files of local_aws; a name of none would say nothing."""
    conftest = ast.parse((TESTS / "local_aws" / "conftest.py").read_text(encoding="utf-8"))
    (longest,) = (
        ast.literal_eval(node.value)
        for node in conftest.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LONGEST"
    )
    assert longest[0] == "test_lifecycle.py"
    assert set(longest) <= {path.name for path in TESTS.rglob("test_*.py")}
    (words,) = (words for words in pytest_runs("test") if "tests/local_aws" in words)
    assert "--no-loadscope-reorder" in words
