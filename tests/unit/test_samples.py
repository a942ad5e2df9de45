"""Samples of the pages are run, or read by what reads such files; what is neither says why."""

from __future__ import annotations

import argparse
import configparser
import contextlib
import io
import json
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator
from pydantic import BaseModel

from cdk_app.settings import Settings
from cdk_app.stage_settings import StageSettings
from docs.settings_schemas import cdk_schema
from prompt_hub import loader
from prompt_hub.cli.main import COMMANDS, load
from prompt_hub.release.manifest import load as load_manifest
from prompt_hub.repository.example_sets import ExampleSet
from prompt_hub.repository.schema import Example, Prompt
from prompt_hub.scoring.metadata import ScoringMetadata
from prompt_hub.service.api_models import ErrorResponse, RunResponse, TasksResponse
from tests.unit.ledger.fake_dynamodb import FakeLedger

pytestmark = pytest.mark.shipped

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "benchmarks/*.md", "docs/*.md", "docs/site/*.md", "findings/*.md")
    for page in ROOT.glob(pattern)
    if page.name != "CHANGELOG.md"
)
"""All but the changelog and the decisions, which say what was true at their date."""
FENCE = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>.+?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
ELSEWHERE = {
    "diff": "tests/infrastructure/test_contributing.py applies it",
    "mermaid": "GitHub draws it, the site shows it",
    "{eval-rst}": "the site runs it",
}
LEFT_OUT = {"text": 12, "dockerfile": 1}
"""How many blocks nothing here runs: what a command prints, and an image that needs Docker."""


@dataclass(frozen=True)
class Sample:
    """A block of code of a page."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None
    """Why it is not run, as the page says it above."""


def samples(page: Path) -> Iterator[Sample]:
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        yield Sample(
            page=page.relative_to(ROOT).as_posix(),
            line=text.count("\n", 0, found.start("text")),
            language=found["language"],
            text=re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            reason=found["reason"],
        )


ALL = [sample for page in PAGES for sample in samples(page)]


def of(*languages: str) -> Any:
    chosen = [sample for sample in ALL if sample.language in languages and not sample.reason]
    names = [f"{sample.page}:{sample.line}" for sample in chosen]
    assert chosen
    return pytest.mark.parametrize("sample", chosen, ids=names)


def test_every_sample_is_run_or_counted_among_those_that_are_not() -> None:
    run = {"sh", "python", "yaml", "json", "ini", *ELSEWHERE}
    left = Counter(sample.language for sample in ALL if sample.reason or sample.language not in run)
    assert dict(left) == LEFT_OUT


# --- Commands ----------------------------------------------------------------------------------


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of ours in shell, its continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    for line in re.findall(r"^ *(?:\.venv/bin/)?prompt-hub (.+)$", joined, re.MULTILINE):
        # What may be left out is right as well as the rest; where the output goes is the shell's.
        ours = re.split(r" (?:>|\||&&) ", line)[0]
        yield shlex.split(re.sub(r"\[([^\]]*)\]", r"\1", ours), comments=True)


def problem_of(words: list[str]) -> str | None:
    """What our parser finds wrong with the words after `prompt-hub`, None where nothing is."""
    if words[0] not in COMMANDS:
        return f"there is no command {words[0]}"
    _, parser = load(words[0])
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(words[1:])
    except SystemExit as end:
        return said.getvalue() if end.code else None
    return None


def unknown_in(words: list[str]) -> str | None:
    """What in a mention of a command does not exist; it need not be whole."""
    if words[0] not in COMMANDS:
        return words[0]
    _, parser = load(words[0])
    known = {"--help": None, **parser._option_string_actions}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and len(words) > 1:
            if words[1] not in action.choices:
                return words[1]
            known |= action.choices[words[1]]._option_string_actions
    flags = [word.partition("=")[0] for word in words if word.startswith("--")]
    return next((flag for flag in flags if flag not in known), None)


def shell_of(page: Path) -> str:
    """The blocks of a page that are indented or fenced as shell."""
    text = page.read_text("utf-8")
    fenced = "".join(sample.text for sample in samples(page) if sample.language == "sh")
    return fenced + "\n".join(re.findall(r"^ {4,}.*$", FENCE.sub("", text), re.MULTILINE))


def mentions_in(page: Path) -> Iterator[list[str]]:
    """Commands in the middle of a line of prose."""
    prose = re.sub(r"\s*\n\s*", " ", FENCE.sub("", page.read_text("utf-8")))
    for found in re.findall(r"`prompt-hub ([a-z][^`]*)`", prose):
        yield shlex.split(re.sub(r"\[([^\]]*)\]", r"\1", found))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_one_that_our_parser_takes(page: Path) -> None:
    for words in commands(shell_of(page)):
        assert problem_of(words) is None, words
    assert [words for words in mentions_in(page) if unknown_in(words)] == []


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("evaluates TASK", "no command evaluates"),
        ("evaluate TASK --fast", "unrecognized arguments: --fast"),
        ("ledger activate TASK --stage dev", "arguments are required: --to"),
        ("ledger stop TASK", "invalid choice: 'stop'"),
        ("evaluate TASK --concurrency many", "'many' is not a number"),
    ],
)
def test_a_command_that_our_parser_refuses_is_found(command: str, problem: str) -> None:
    assert problem in (problem_of(command.split()) or "")


@pytest.mark.parametrize(
    ("mention", "unknown"),
    [
        ("run --service", None),
        ("run --services", "--services"),
        ("ledger stop", "stop"),
        ("ledger activate --stage dev --now", "--now"),
    ],
)
def test_a_mention_of_what_is_not_there_is_found(mention: str, unknown: str | None) -> None:
    assert unknown_in(mention.split()) == unknown


@pytest.mark.processes
@of("sh")
def test_a_sample_of_shell_is_shell(sample: Sample) -> None:
    # An option in brackets is how usage is written.
    checked = subprocess.run(["bash", "-n"], input=sample.text, text=True, capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_every_target_of_make_that_a_page_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in PAGES:
        named = set()
        prose = re.sub(r"\s*\n\s*", " ", FENCE.sub("", page.read_text("utf-8")))
        named |= set(re.findall(r"`make ([a-z][a-z-]*)", prose))
        named |= set(re.findall(r"^ *make ([a-z][a-z-]*)", shell_of(page), re.MULTILINE))
        assert named <= targets, page.name


# --- Files -------------------------------------------------------------------------------------


def shipped(path: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((ROOT / path).read_text("utf-8"), Loader=yaml.CSafeLoader)
    return found


@of("yaml")
def test_a_sample_of_yaml_is_taken_by_our_loader(sample: Sample) -> None:
    rows = [line for line in sample.text.splitlines() if line.startswith("{")]
    documents: list[Any] = [yaml.load(sample.text, Loader=yaml.CSafeLoader)] if not rows else []
    if rows:
        documents = [{"scorers": [yaml.load(row, Loader=yaml.CSafeLoader)]} for row in rows]
    for document in documents:
        if document is None:
            (target,) = re.findall(r"\$schema=(\S+)", sample.text)
            assert (ROOT / "prompts" / "00-templates" / target).resolve().is_file()
        elif document.get("schema") == "prompt-hub/prompt@1":
            prompt = Prompt.model_validate(document)
            assert prompt.messages
        elif "messages" in document:
            whole = {**shipped("prompts/00-templates/brand.yaml"), **document}
            assert len(Prompt.model_validate(whole).messages) == len(document["messages"])
        else:
            whole = {**shipped("prompts/03-metadata/brand.yaml"), **document}
            assert ScoringMetadata.model_validate(whole).scorers


@of("json")
def test_a_sample_of_json_is_taken_by_what_reads_it(sample: Sample) -> None:
    part = sample.text.lstrip().startswith('"')
    found = json.loads(f"{{{sample.text}}}" if part else sample.text)
    keys = found.keys()
    models: dict[str, type[BaseModel]] = {
        "expected": Example,
        "error": ErrorResponse,
        "usage": RunResponse,
        "ledger": TasksResponse,
        "uri": ExampleSet,
    }
    if part:
        check_settings(found)
    elif "Statement" in keys or "record" in keys:
        # Policies: tests/local_aws holds them against the local IAM. Records: see below.
        assert keys
    else:
        (model,) = (model for key, model in models.items() if key in keys)
        assert model.model_validate_json(sample.text)


def check_settings(part: dict[str, Any]) -> None:
    """Hold a part of `cdk.json`, or of an editor's settings, against what takes it."""
    context = json.loads((ROOT / "docs" / "example_context.json").read_text("utf-8"))
    settings = context["prompt-hub"]
    if part.keys() <= StageSettings.model_fields.keys():
        (stage,) = settings["stages"]
        settings["stages"] = [{**stage, **part}]
    elif part.keys() <= Settings.model_fields.keys():
        settings |= part
    elif "json.schemas" in part:
        assert all((ROOT / entry["url"]).is_file() for entry in part["json.schemas"])
        return
    else:
        cdk_json = json.loads((ROOT / "cdk.json").read_text("utf-8"))
        assert part.items() <= cdk_json.items()
        return
    assert Settings.from_context(settings)
    assert Draft202012Validator(cdk_schema()).is_valid({"context": context})


@of("ini")
def test_a_sample_of_a_profile_is_one(sample: Sample) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(sample.text)
    for section in parser.sections():
        assert {"role_arn", "source_profile", "region"} == {*parser[section]}


# --- Python ------------------------------------------------------------------------------------


@pytest.fixture
def follow_a_ledger_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loader read this repository's own prompts, of which `brand` is active."""
    carried = load_manifest(ROOT).tasks["brand"]
    champion = carried.version(carried.champion)
    assert champion is not None
    ledger = FakeLedger()
    ledger.move(champion.reference, task="brand")
    real = loader.Prompts
    monkeypatch.setattr(
        loader,
        "Prompts",
        lambda stage, root=None: real(stage, root=ROOT, connect=lambda: ledger),
    )


def answer(**asked: Any) -> Any:
    """Answer as a provider's SDK does."""
    assert asked["messages"]
    message = SimpleNamespace(content='{"brand": "Vishay"}')
    return SimpleNamespace(choices=[SimpleNamespace(message=message)])


@pytest.mark.processes
@of("python")
def test_a_sample_of_python_runs(sample: Sample, follow_a_ledger_in_memory: None) -> None:
    heard: list[str] = []
    completions = SimpleNamespace(create=answer)
    names: dict[str, Any] = {
        "client": SimpleNamespace(chat=SimpleNamespace(completions=completions)),
        "log": SimpleNamespace(info=heard.append),
        "json": json,
        "trace": "0af7651916cd43dd8448eb211c80319c",
        "metric": str,
    }
    exec(compile(sample.text, sample.page, "exec"), names)
    if "score" in names:
        right, wrong = {"package": "0603"}, {"package": "1206"}
        assert names["score"](right, right, {}) == (1.0, "")
        assert names["score"](wrong, right, {}) == (0.0, "expected 0603, got 1206")
    else:
        assert names["messages"] if "messages" in names else names["output"] == {"brand": "Vishay"}
        assert all(json.loads(line)["task"] == "brand" for line in heard)
