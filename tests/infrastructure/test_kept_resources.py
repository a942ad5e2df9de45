"""What holds data is deployed as what it was: an upgrade leaves no ledger or bucket behind."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import pytest

from tests.infrastructure import kept_resources
from tests.infrastructure.kept_resources import HOLDERS, RECORDED, losses
from tests.infrastructure.synthesised import Assembly, Json

HOW_TO_RECORD = (
    "If every stage is to lose it, or it is new, say in docs/upgrading.md what people do about it"
    " and record it: .venv/bin/python -m tests.infrastructure.kept_resources"
)
LEDGER = "prompt-hub-dev-ledger LedgerB7379752"


@pytest.fixture(scope="module")
def recorded() -> Json:
    """What the releases before this one have deployed."""
    loaded: Json = json.loads(RECORDED.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """All stacks that can hold something."""
    return kept_resources.app(tmp_path_factory.mktemp("kept"))


def test_nothing_that_holds_data_is_left_behind(assembly: Assembly, recorded: Json) -> None:
    now = kept_resources.kept(assembly)
    lost = "\n".join(losses(recorded, now))
    assert not lost, f"{lost}\n{HOW_TO_RECORD}"
    assert sorted(now) == sorted(recorded), HOW_TO_RECORD


def test_whatever_outlives_its_stack_is_recorded(assembly: Assembly, recorded: Json) -> None:
    outlives = {
        f"{stack} {logical_id}"
        for stack, template in assembly.templates.items()
        for logical_id, resource in template["Resources"].items()
        if resource.get("UpdateReplacePolicy") == "Retain"
    }
    assert outlives
    assert outlives <= set(recorded)
    assert {item["type"] for item in recorded.values()} == set(HOLDERS)


def moved(resources: Json) -> None:
    """Give the ledger another logical id, as a construct of another name or parent does."""
    resources[LEDGER.replace("LedgerB7379752", "Table8F2C1D55")] = resources.pop(LEDGER)


def renamed(resources: Json) -> None:
    resources[LEDGER]["fixed"]["TableName"] = "prompt-hub-dev-state"


def keyed_otherwise(resources: Json) -> None:
    resources[LEDGER]["fixed"]["KeySchema"] = [{"AttributeName": "pk", "KeyType": "HASH"}]


def of_another_type(resources: Json) -> None:
    resources[LEDGER]["type"] = "AWS::DynamoDB::GlobalTable"


def without_its_name(resources: Json) -> None:
    del resources[LEDGER]["fixed"]["TableName"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (moved, f"{LEDGER} is no more: what is live, and the history of it would stay behind."),
        (of_another_type, "what is live, and the history of it would stay behind."),
        (renamed, "TableName was 'prompt-hub-dev-ledger', is 'prompt-hub-dev-state'."),
        (keyed_otherwise, "is [{'AttributeName': 'pk', 'KeyType': 'HASH'}]."),
        (without_its_name, "TableName was 'prompt-hub-dev-ledger', is None."),
    ],
)
def test_a_ledger_that_would_be_lost_is_named(
    recorded: Json, change: Callable[[Json], None], expected: str
) -> None:
    now = copy.deepcopy(recorded)
    change(now)
    (sentence,) = losses(recorded, now)
    assert sentence.startswith(LEDGER)
    assert sentence.endswith(expected)


def test_what_is_new_loses_nothing(recorded: Json) -> None:
    before = {place: item for place, item in recorded.items() if place != LEDGER}
    assert [*losses(before, recorded)] == []
