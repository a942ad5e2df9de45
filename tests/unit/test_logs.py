"""What is logged: nothing unless asked for, what went on when asked, and never what was sent."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from prompt_hub.cli.main import COMMANDS, main
from prompt_hub.cli.options import CommandParser, verbosity_of
from prompt_hub.cli.serve import SERVER_LOGGERS, log_as_service
from prompt_hub.core import aws_names, log_setup
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.log_setup import LEVELS, LogSettings, log_context, read_settings
from prompt_hub.ledger.items import ReleaseRef, VersionRef
from prompt_hub.ledger.transitions import Cause
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.release.manifest import load
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import completion, serving
from tests.unit.building import RepositoryFolder
from tests.unit.ledger.fake_dynamodb import FakeDynamoDB, FakeLedger, ledger_on
from tests.unit.providers import FunctionProvider
from tests.unit.service.serving import listening, unstarted

MARK = "Qzx7731"
"""Stands in every field, every answer and the key of the tests below."""
MAKER = f"{MARK} Corporation"
LIBRARIES = ("openai", "httpx", "httpx2", "httpcore2", "botocore", "boto3", "urllib3", "aiohttp")


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    known = [logging.getLogger(name) for name in (log_setup.PACKAGE, *SERVER_LOGGERS)]
    before = [(logger, logger.level, list(logger.handlers)) for logger in known]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


# --- What is asked for ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "verbosity", "expected"),
    [
        ("", 0, log_setup.QUIET),
        ("info", 0, LogSettings(logging.INFO)),
        (" DEBUG , json", 0, LogSettings(logging.DEBUG, json=True)),
        ("json", 0, LogSettings(LEVELS["off"], json=True)),
        ("", 1, LogSettings(logging.INFO)),
        ("", 2, LogSettings(logging.DEBUG)),
        ("debug", 1, LogSettings(logging.DEBUG)),
        ("json,off", 3, LogSettings(logging.DEBUG, json=True)),
    ],
)
def test_the_setting_and_the_option_are_read(
    text: str, verbosity: int, expected: LogSettings
) -> None:
    assert read_settings(text, verbosity=verbosity) == expected


def test_the_service_says_what_it_is_warned_of_unless_told_otherwise() -> None:
    assert read_settings("", log_setup.SERVICE) == LogSettings(logging.WARNING, json=True)
    assert read_settings("off", log_setup.SERVICE).level == LEVELS["off"]


def test_a_word_that_is_no_setting_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PromptHubError, match="has 'loud'; expected one of off, warning, info"):
        read_settings("loud")
    monkeypatch.setenv(aws_names.ENV_LOG, "debug,loud")
    assert main(["validate", "--rules"]) == ExitCode.USAGE
    assert "PROMPT_HUB_LOG has 'loud'" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_verbose(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert "-v, --verbose" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["show", "--stage", "dev"], 0),
        (["show", "--stage", "dev", "-v"], 1),
        (["-v", "show", "--stage", "dev"], 1),
        (["show", "-vv", "--stage", "dev"], 2),
    ],
)
def test_a_subcommand_can_be_verbose(words: list[str], expected: int) -> None:
    parser = CommandParser()
    import_module(COMMANDS["ledger"][0]).configure(parser)
    assert verbosity_of(parser.parse_args(words)) == expected
    assert verbosity_of(argparse.Namespace()) == 0


# --- The form of a line --------------------------------------------------------------------------


def test_a_line_for_people_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure(1)
    with log_context(task="brand"):
        logging.getLogger("prompt_hub.x").info("%d answers", 3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("INFO prompt_hub.x: 3 answers task=brand\n")


def test_a_line_for_machines_is_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(aws_names.ENV_LOG, "info,json")
    log_setup.configure()
    with log_context(trace_id="abc"):
        logging.getLogger("prompt_hub.x").info("two\nlines")
    line = json.loads(capsys.readouterr().err)
    assert line.pop("time")
    assert line == {
        "event": "log",
        "level": "info",
        "logger": "prompt_hub.x",
        "message": "two\nlines",
        "trace_id": "abc",
    }


def test_a_second_configuration_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure(2)
    log_setup.configure(1)
    logging.getLogger("prompt_hub.x").info("once")
    logging.getLogger("prompt_hub.x").debug("never")
    assert capsys.readouterr().err.count("prompt_hub.x") == 1


def test_a_line_that_cannot_be_made_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure(1)
    logging.getLogger("prompt_hub.x").info("%d answers", MARK)
    line = capsys.readouterr().err
    assert "prompt_hub.x: a line could not be made: TypeError" in line
    assert MARK not in line


@pytest.mark.parametrize("form", ["", "json"])
def test_an_exception_is_logged_without_its_words(
    form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(aws_names.ENV_LOG, form)
    log_setup.configure(1)
    try:
        try:
            int(MARK)
        except ValueError as error:
            raise RuntimeError(MARK) from error
    except RuntimeError:
        logging.getLogger("prompt_hub.x").exception("it failed")
    line = capsys.readouterr().err
    assert MARK not in line
    assert "RuntimeError from ValueError" in line
    assert "test_an_exception_is_logged_without_its_words" in line


def test_a_change_of_a_pointer_can_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.configure(1)
    ledger_on(FakeDynamoDB()).seed(
        "brand",
        VersionRef(version="1.0.0", sha256="x"),
        previous=None,
        release=ReleaseRef(release="r", made_at="2026"),
        cause=Cause(by="ann", code="release", reason=MARK, at="2026"),
    )
    line = capsys.readouterr().err
    assert line.endswith("INFO prompt_hub.ledger.table: brand: seeded at ledger revision 1\n")


# --- What must never be in a line ----------------------------------------------------------------


@pytest.fixture
def marked(
    healthy: RepositoryFolder, no_long_retries: None, monkeypatch: pytest.MonkeyPatch
) -> RepositoryFolder:
    """A repository whose `brand` has the mark in its examples and a candidate to be measured."""
    examples: list[JsonObject] = [
        {"id": f"m-{n}", "input": {"manufacturer": f"{MAKER} {n}"}, "expected": {"brand": MARK}}
        for n in range(6)
    ]
    lines = "".join(json.dumps(example) + "\n" for example in examples)
    healthy.write("prompts/01-examples/brand.jsonl", lines)
    healthy.edit("prompts/00-templates/brand.yaml", "Answer with JSON.", "Answer in JSON.")
    healthy.bump("brand", "1.0.0", "1.1.0")
    healthy.stamp("brand")
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    monkeypatch.setenv("TEST_MODEL_KEY", f"sk-{MARK}-secret")
    return healthy


class Model:
    """Busy twice, broken once, then right; its refusals quote what they were sent."""

    def __init__(self) -> None:
        self.calls = 0
        self.status = 0

    def __call__(self, path: str, sent: JsonObject) -> tuple[int, object]:
        self.calls += 1
        quote = {"error": {"message": f"refused: {sent}", "code": MARK, "type": MARK}}
        if self.status:
            return self.status, quote
        statuses = {1: 429, 2: 429, 3: 500}
        if self.calls in statuses:
            return statuses[self.calls], quote
        return 200, completion(json.dumps({"brand": MARK}))

    @staticmethod
    def aliases(url: str) -> str:
        model = {
            "provider": "openai",
            "model": "m",
            "base_url": f"{url}/v1",
            "api_key_env": "TEST_MODEL_KEY",
        }
        return json.dumps({"catalogue-latest": model, "catalogue-pinned": model})


class Lines:
    """Every line that commands and service write, log lines apart."""

    def __init__(self) -> None:
        self.logged: list[dict[str, Any]] = []

    def add(self, text: str) -> None:
        for line in text.splitlines():
            if line.startswith('{"event":'):
                self.logged.append(json.loads(line))

    @property
    def loggers(self) -> set[str]:
        return {str(line.get("logger")) for line in self.logged}

    def messages(self, logger: str) -> list[str]:
        return [line["message"] for line in self.logged if line.get("logger") == logger]


def ask(url: str, fields: JsonObject) -> int:
    body = json.dumps({"fields": fields}).encode()
    request = urllib.request.Request(f"{url}/v1/tasks/brand/run", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def brand_ledger(root: Path) -> FakeLedger:
    carried = load(root).tasks["brand"].version("1.0.0")
    assert carried is not None
    ledger = FakeLedger()
    ledger.move(carried.reference, "brand")
    return ledger


def test_no_field_answer_or_key_is_in_any_line(
    marked: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(aws_names.ENV_LOG, "debug,json")
    lines = Lines()
    evaluate(marked, monkeypatch, lines, capsys)
    run_batch_and_service(marked, monkeypatch, lines, capsys)

    assert {
        "prompt_hub.batch.backends",
        "prompt_hub.batch.journal",
        "prompt_hub.batch.runner",
        "prompt_hub.evaluation.budgeted_client",
        "prompt_hub.evaluation.cache",
        "prompt_hub.llm.rate_limit",
        "prompt_hub.llm.retry",
        "prompt_hub.release.ledger_poller",
    } <= lines.loggers
    assert [line for line in lines.logged if MARK in json.dumps(line)] == []
    for library in LIBRARIES:
        assert not logging.getLogger(library).isEnabledFor(logging.INFO), library
        assert not any(str(logger).startswith(library) for logger in lines.loggers)


def evaluate(
    marked: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    lines: Lines,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Evaluate twice, with a damaged cache between, then without a budget for all of it."""
    with serving(model := Model()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, Model.aliases(url))
        main(["evaluate", "brand", "-vv"])
        first = Lines()
        first.add(capsys.readouterr().err)
        assert any("HTTP 429; next in" in line for line in first.messages("prompt_hub.llm.retry"))
        assert any("calls at once" in line for line in first.messages("prompt_hub.llm.rate_limit"))
        assert any(line.get("task") == "brand" for line in first.logged)

        asked = model.calls
        cache = next((marked.root / ".prompt-hub" / "responses" / "brand").glob("*.jsonl"))
        cache.write_bytes(cache.read_bytes().replace(b'"crc":"', b'"crc":"x', 1))
        shutil.rmtree(marked.root / ".prompt-hub" / "results")
        main(["evaluate", "brand", "-vv"])
        second = Lines()
        second.add(capsys.readouterr().err)
        assert model.calls == asked + 1
        assert any("corrupt" in line for line in second.messages("prompt_hub.evaluation.cache"))
        assert any(
            "is stored" in line for line in second.messages("prompt_hub.evaluation.budgeted_client")
        )

        metadata = "prompts/03-metadata/brand.yaml"
        marked.edit(metadata, "gate: {", "gate: {budget: {calls: 2}, ")
        main(["evaluate", "brand", "-vv", "--fresh"])
        third = Lines()
        third.add(capsys.readouterr().err)
        assert "brand 1.1.0: the budget of 2 calls is used up" in third.messages(
            "prompt_hub.evaluation.budgeted_client"
        )
    for some in (first, second, third):
        lines.logged += some.logged


def run_batch_and_service(
    marked: RepositoryFolder,
    monkeypatch: pytest.MonkeyPatch,
    lines: Lines,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Run records through the service, which runs as in a stage, and by this process."""
    records = marked.path("records.csv")
    records.write_text(f"Maker,{MARK}\n{MAKER},1\n{MARK},{MARK}\n", encoding="utf-8")
    with serving(model := Model()) as models:
        aliases = Model.aliases(models)
        monkeypatch.setenv(aws_names.ENV_MODELS, aliases)
        client = ModelClient(ModelAliases.parse(aliases))
        log_as_service(0)
        healthy = unstarted(marked.root, ledger := brand_ledger(marked.root), client=client)
        with listening(healthy.application) as port:
            url = f"http://127.0.0.1:{port}"
            assert ask(url, {"manufacturer": MAKER}) == 200
            assert ask(url, {"manufacturer": 7, MARK: MARK}) == 422
            ledger.away = True
            healthy.poller.poll()
            lines.add(capsys.readouterr().out)
            code = main(["run", "brand", str(records), str(records) + ".out", "--service", url])
            assert code == ExitCode.OK
            lines.add("".join(capsys.readouterr()))
        log_as_service(0)
        broken = FunctionProvider(lambda messages: [][len(messages)]).caller()
        astray = unstarted(marked.root, brand_ledger(marked.root), client=broken)
        with listening(astray.application) as port:
            assert ask(f"http://127.0.0.1:{port}", {"manufacturer": MAKER}) == 500
        captured = capsys.readouterr()
        assert MARK not in captured.err
        assert "Traceback" not in captured.err
        lines.add(captured.out)
        (error,) = (line for line in lines.logged if line.get("event") == "unexpected_error")
        assert error["error"].startswith("IndexError")

        command = ["run", "brand", str(records), str(records) + ".more", "-vv"]
        model.status = 400
        assert main(command) == ExitCode.NOT_MEASURED
        model.status = 0
        assert main(command) == ExitCode.OK
        lines.add(capsys.readouterr().err)
        assert any("refused at" in line for line in lines.messages("prompt_hub.llm.retry"))


def test_a_command_that_is_not_asked_says_its_results_and_nothing_else(
    marked: RepositoryFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(aws_names.ENV_LOG, raising=False)
    with serving(Model()) as url:
        monkeypatch.setenv(aws_names.ENV_MODELS, Model.aliases(url))
        main(["evaluate", "brand"])
    captured = capsys.readouterr()
    assert "brand 1.1.0" in captured.out
    assert "prompt_hub." not in captured.out + captured.err
