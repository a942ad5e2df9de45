"""The action Tests leaves out what no action, image or Lambda runs, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from cdk_app.records_definition import RecordsNames, records_definition
from prompt_hub.cli.main import COMMANDS
from stacks.pipeline import OF_HOW_CODE_IS_WRITTEN, OF_PEOPLES_TOOLS
from tests.infrastructure.synthesised import Assembly
from tests.unit.module_imports import modules_below, modules_of, reached

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"
IMAGE = ROOT / "pipeline_image"
PRODUCT = modules_below(IMAGE, "prompt_hub")
COMMAND = re.compile(r"(?:prompt_hub\.cli|prompt-hub)[\s'\",\\]+([a-z-]+)")
DOOR = re.compile(r"main\(\[\"([a-z-]+)\"")
MODULE = re.compile(r"python -m (prompt_hub[.\w]*)")
FILE = re.compile(r"python ([\w/]+\.py)")


def records_commands() -> str:
    """What the state machine of records starts, of which this repository's stage has none."""
    names = {field.name: field.name for field in fields(RecordsNames)}
    given = {**names, "network": {}, "environment": {}, "integration": str}
    return json.dumps(records_definition(RecordsNames(**given), max_children=2))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def commands(assembly: Assembly) -> str:
    """Whatever starts a process: templates, the state machine of records, the image."""
    templates = json.dumps([*assembly.templates.values()])
    return "\n".join((templates, records_commands(), (IMAGE / "Dockerfile").read_text("utf-8")))


def words_of(commands: str) -> set[str]:
    """The words behind `prompt-hub` in these commands, those of its doors included."""
    doors = [(ROOT / file).read_text("utf-8") for file in FILE.findall(commands)]
    named = {word for text in doors for word in DOOR.findall(text)}
    return (named | set(COMMAND.findall(commands))) & COMMANDS.keys()


@pytest.fixture(scope="module")
def run(commands: str) -> set[str]:
    """Every module of ours that actions, image and Lambdas run."""
    cdk = [
        file
        for folder in ("cdk_app", "stacks", "lambdas")
        for file in (ROOT / folder).rglob("*.py")
    ]
    first = modules_of([ROOT / "app.py", *cdk]) | set(MODULE.findall(commands))
    words = words_of(commands)
    first |= {"prompt_hub.cli.__main__", *(COMMANDS[word][0] for word in words)}
    return reached(PRODUCT, first)


def test_what_runs_is_found_in_the_templates(commands: str, run: set[str]) -> None:
    assert words_of(commands) >= {
        *("validate", "evaluate", "promote", "image", "activate", "smoke-test", "drill", "record"),
        *("verdict", "serve", "health", "watch", "records", "repair"),
    }
    assert run >= {
        "prompt_hub.release.code_tests",
        "prompt_hub.release.checked_templates",
        "prompt_hub.ledger.transitions",
        # Imported when a command runs, not with it; the last by a registry.
        "prompt_hub.service.server",
        "prompt_hub.llm.providers.bedrock",
    }


def test_packages_are_left_out_that_nothing_deployed_runs_and_no_others(run: set[str]) -> None:
    packages = {name.split(".")[1] for name in PRODUCT if name.count(".") == 1}
    never = packages - {name.split(".")[1] for name in run if "." in name}
    tested = {name for name in never if [*UNIT.glob(f"{name}/test_*.py")]}
    assert set(OF_PEOPLES_TOOLS) & packages == tested


@pytest.mark.parametrize("name", OF_PEOPLES_TOOLS)
def test_nothing_deployed_is_tested_only_by_tests_that_are_left_out(
    name: str, run: set[str]
) -> None:
    def files(entry: str) -> list[Path]:
        return [*(UNIT / entry).rglob("test_*.py")] or [UNIT / entry]

    entries = OF_PEOPLES_TOOLS + OF_HOW_CODE_IS_WRITTEN
    left_out = {file for entry in entries for file in files(entry)}
    kept = {*UNIT.rglob("test_*.py"), *(ROOT / "tests" / "lambdas").rglob("test_*.py")} - left_out
    assert all(file.is_file() for file in left_out)
    assert (modules_of(files(name)) & run) - modules_of(kept) == set()


@pytest.mark.parametrize("name", OF_HOW_CODE_IS_WRITTEN)
def test_who_reads_sources_runs_none_of_what_is_deployed(name: str, run: set[str]) -> None:
    assert modules_of([UNIT / name]) & run <= {"prompt_hub"}
