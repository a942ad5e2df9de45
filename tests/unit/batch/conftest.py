"""A running model, and `prompt-hub run` on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.repairing import BAD_WORDS, RUINED, output
from tests.unit.batch.running import HEADER, Lines, Model, Run
from tests.unit.batch.servers import serving
from tests.unit.batch.stores import records_command
from tests.unit.building import RepositoryFolder


@pytest.fixture
def model(no_long_retries: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """A model endpoint that `PROMPT_HUB_MODELS` names."""
    endpoint = Model()
    with serving(endpoint.respond) as url:
        alias = {"provider": "openai", "model": "small", "base_url": f"{url}/v1"}
        aliases = {"catalogue-pinned": alias, "catalogue-latest": alias}
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps(aliases))
        yield endpoint


@pytest.fixture
def run(
    healthy: RepositoryFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, Lines]]:
    """Run the command on rows of a CSV; the exit code and the lines of the output."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)
    monkeypatch.setenv(aws_names.ENV_RELEASE, "execution-7")

    def go(*rows: str, options: tuple[str, ...] = (), header: str = HEADER) -> tuple[int, Lines]:
        records, output = tmp_path / "parts.csv", tmp_path / "out.jsonl"
        records.write_text(header + "".join(rows), encoding="utf-8")
        code = main(["run", "part-class", str(records), str(output), *options])
        if not output.exists():
            return code, []
        return code, [json.loads(text) for text in output.read_text("utf-8").splitlines()]

    return go


@pytest.fixture
def store(healthy: RepositoryFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of runs; the repository is the healthy one."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    monkeypatch.setenv(aws_names.ENV_RELEASE, "execution-7")
    for name in (aws_names.ENV_LEDGER_TABLE, aws_names.ENV_RECORDS_BUCKET, aws_names.ENV_STAGE):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "store"


@pytest.fixture
def records(store: Path) -> Callable[..., int]:
    """Do an action of `prompt-hub records` on the run `r`."""

    def go(action: str, *options: str) -> int:
        return main(records_command(store, action, *options))

    return go


@pytest.fixture
def bad_run(run: Run, model: Model) -> bytes:
    """The output of a run by 1.1.0, which calls every diode a resistor."""
    model.misled_by = BAD_WORDS
    code, lines = run(*RUINED)
    assert code == ExitCode.BLOCKED
    assert cast(JsonObject, lines[0]["output"]) == {"part_class": "resistor"}
    return output().read_bytes()
