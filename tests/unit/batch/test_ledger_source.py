"""Which version a local run uses where a ledger says what is active."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from prompt_hub.cli.main import main
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.ledger.items import VersionRef
from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import completion, serving
from tests.unit.building import RepositoryFolder
from tests.unit.ledger.fake_dynamodb import FakeLedger

TABLE = "prompt-hub-dev-ledger"


@contextmanager
def ledger(monkeypatch: pytest.MonkeyPatch, active: VersionRef | None) -> Iterator[None]:
    """DynamoDB's HTTP interface, with one pointer in one table."""

    fake = FakeLedger()
    if active is not None:
        fake.move(active)

    def respond(path: str, sent: JsonObject) -> tuple[int, object]:
        assert sent["TableName"] == TABLE
        return 200, fake.table.get_item(**cast(dict[str, Any], sent))

    with serving(respond) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        monkeypatch.setenv(aws_names.ENV_LEDGER_TABLE, TABLE)
        yield


@pytest.fixture
def command(
    healthy: RepositoryFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[str]]:
    """The command on one record, with a model that answers."""
    monkeypatch.setenv(aws_names.ENV_ROOT, str(healthy.root))
    records = tmp_path / "parts.jsonl"
    records.write_text('{"MPN": "BAT54", "Description": "Schottky diode"}\n')
    with serving(lambda path, sent: (200, completion('{"part_class": "diode"}'))) as url:
        alias = {"provider": "openai", "model": "small", "base_url": f"{url}/v1"}
        monkeypatch.setenv(aws_names.ENV_MODELS, json.dumps({"catalogue-pinned": alias}))
        yield ["run", "part-class", str(records), str(tmp_path / "out.jsonl")]


def old_version(healthy: RepositoryFolder) -> VersionRef:
    """The archived version, as a rollback would leave the pointer."""
    prompt = healthy.repository.version("part-class", "1.0.0")
    assert prompt is not None
    return VersionRef(version="1.0.0", sha256=prompt.sha256)


def test_the_pointer_decides_and_not_the_released_version(
    healthy: RepositoryFolder,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ledger(monkeypatch, old_version(healthy)):
        assert main(command) == ExitCode.OK
    line = json.loads(Path(command[-1]).read_text("utf-8"))
    assert (line["version"], line["output"]) == ("1.0.0", {"part_class": "diode"})
    assert f"active in the ledger {TABLE}" in capsys.readouterr().err


def test_an_active_version_that_the_checkout_lacks_is_never_replaced_by_another(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ledger(monkeypatch, VersionRef(version="1.0.0", sha256="f" * 64)):
        assert main(command) == ExitCode.USAGE
    assert "is active, but this checkout does not have it" in capsys.readouterr().err
    with ledger(monkeypatch, None):
        assert main(command) == ExitCode.USAGE
    assert "has no active version of part-class" in capsys.readouterr().err


def test_a_ledger_that_does_not_answer_is_no_licence_to_guess(
    healthy: RepositoryFolder,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ledger(monkeypatch, old_version(healthy)):
        pass
    assert main(command) == ExitCode.NOT_MEASURED
    assert f"the ledger {TABLE} does not answer" in capsys.readouterr().err
    assert not Path(command[-1]).exists()


def test_where_nothing_is_released_here_it_says_to_pull(
    healthy: RepositoryFolder,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)
    healthy.path("prompts/02-production/part-class.yaml").unlink()
    assert main(command) == ExitCode.USAGE
    assert (
        "part-class has no released version. Where the pipeline has released one, `git pull`"
        " brings it; else push the candidate, or release it here: prompt-hub promote release"
    ) in capsys.readouterr().err


def test_where_all_is_taken_out_it_names_what_brings_a_version_back(
    healthy: RepositoryFolder,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Promotion refuses the number of a version that was taken out, by hand and after a push."""
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)
    signed = ("--person", "Ada Lovelace", "--reason", "customers see wrong units")
    assert main(["promote", "archive", "part-class", *signed]) == ExitCode.OK
    assert main(command) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert "part-class has no released version. Its versions were taken out" in told
    assert "promote release" not in told
    back = "prompt-hub promote downgrade part-class --to VERSION --override"
    assert back in told
    # The command that is named has all that it asks for.
    words = shlex.split(told[told.index(back) :].replace("VERSION", "1.1.0"))
    assert main(words[1:]) == ExitCode.OK
