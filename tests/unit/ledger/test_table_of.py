"""Which table a stage's ledger is, where it was restored under another name."""

from __future__ import annotations

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
