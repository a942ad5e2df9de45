"""Which table a stage's ledger is, where it was restored under another name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.ledger.stage_session import table_of
from prompt_hub.ledger.table import Ledger
from prompt_hub.loader.prompts import Prompts


@pytest.mark.parametrize(
    ("value", "dev", "prod"),
    [
        ("", "prompt-hub-dev-ledger", "prompt-hub-prod-ledger"),
        ("dev=one", "one", "prompt-hub-prod-ledger"),
        ("dev=one,prod=two.2_b", "one", "two.2_b"),
    ],
)
def test_a_restored_table_goes_before_the_stages_own(
    monkeypatch: pytest.MonkeyPatch, value: str, dev: str, prod: str
) -> None:
    monkeypatch.setenv(aws_names.ENV_LEDGER_TABLES, value)
    assert (table_of("dev"), table_of("prod")) == (dev, prod)


@pytest.mark.parametrize("value", ["dev", "dev=", "=one", "dev=one,dev=two", "dev=one,prod"])
def test_a_value_that_does_not_say_which_is_no_ledger(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(aws_names.ENV_LEDGER_TABLES, value)
    with pytest.raises(PromptHubError, match="STAGE=TABLE"):
        table_of("prod")


def test_a_clone_says_it_where_the_environment_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = [{"name": "dev", "ledger_table": "one"}, {"name": "prod"}]
    settings = {"context": {"prompt-hub": {"stages": stages}}}
    (tmp_path / "cdk.json").write_text(json.dumps(settings), encoding="utf-8")
    monkeypatch.setenv(aws_names.ENV_ROOT, str(tmp_path))
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLES, raising=False)
    assert (table_of("dev"), table_of("prod")) == ("one", "prompt-hub-prod-ledger")
    monkeypatch.setenv(aws_names.ENV_LEDGER_TABLES, "prod=two")
    assert (table_of("dev"), table_of("prod")) == ("one", "two")
    monkeypatch.setenv(aws_names.ENV_LEDGER_TABLES, "dev=three")
    assert table_of("dev") == "three"


def test_a_clone_that_cannot_be_read_is_no_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cdk.json").write_text("{", encoding="utf-8")
    monkeypatch.setenv(aws_names.ENV_ROOT, str(tmp_path))
    monkeypatch.setenv(aws_names.ENV_INSTALLATION, "prompt-hub")
    with pytest.raises(PromptHubError, match="it says which table a ledger was restored as"):
        table_of("dev")


def test_the_loader_follows_the_restored_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(aws_names.ENV_LEDGER_TABLE, raising=False)
    monkeypatch.setenv(aws_names.ENV_LEDGER_TABLES, "dev=one")
    asked: list[str] = []
    monkeypatch.setattr(Ledger, "connect", asked.append)
    prompts = Prompts("dev")
    prompts._connect()
    assert asked == ["one"]


def test_the_loader_follows_the_ledger_of_the_folder_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        aws_names.ENV_INSTALLATION,
        aws_names.ENV_LEDGER_TABLE,
        aws_names.ENV_LEDGER_TABLES,
        aws_names.ENV_ROOT,
    ):
        monkeypatch.delenv(name, raising=False)
    stages = [{"name": "prod", "ledger_table": "restored"}, {"name": "dev"}]
    settings = {"context": {"prompt-hub": {"installation": "acme", "stages": stages}}}
    clone, elsewhere = tmp_path / "clone", tmp_path / "elsewhere"
    for folder in (clone, elsewhere):
        folder.mkdir()
    (clone / "cdk.json").write_text(json.dumps(settings), encoding="utf-8")
    monkeypatch.chdir(elsewhere)
    asked: list[str] = []
    monkeypatch.setattr(Ledger, "connect", asked.append)
    for stage in ("prod", "dev"):
        Prompts(stage, root=clone)._connect()
    assert asked == ["restored", "acme-dev-ledger"]
