"""A DynamoDB table in memory: as much of the client as the ledger uses, with its conditions."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from prompt_hub.core import aws_names
from prompt_hub.ledger.items import (
    ACTIVE,
    DEPLOYED_KEY,
    HEAD_KEY,
    Deployed,
    Pointer,
    ReleaseRef,
    VersionRef,
)
from prompt_hub.ledger.outbox import Outbox
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.wire import pack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, dict[str, Any]]


def _copied(item: Item) -> Item:
    """Return a copy that shares nothing with `item`: `deepcopy` takes five times as long."""
    return cast(Item, pickle.loads(pickle.dumps(item)))


class TransactionCanceledException(Exception):  # noqa: N818 - the service names it
    """What DynamoDB answers when a condition does not hold; `response` as botocore has it."""

    def __init__(self, codes: list[str]) -> None:
        super().__init__(f"Transaction cancelled: {codes}")
        self.response = {"CancellationReasons": [{"Code": code} for code in codes]}


class ResourceNotFoundException(Exception):  # noqa: N818 - the service names it
    """What DynamoDB answers where there is no such table."""


@dataclass
class FakeDynamoDB:
    """Holds items by (partition, sort) key; a transaction happens whole or not at all.

    `before_write` runs before each transaction: a test lets somebody else write there. While it is
    `away`, nothing is answered. `queries` counts what was asked for more than one item.
    """

    items: dict[tuple[str, str], Item] = field(default_factory=dict)
    before_write: Callable[[], object] | None = None
    transactions: int = 0
    away: bool = False
    queries: int = 0
    exceptions: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            ResourceNotFoundException=ResourceNotFoundException,
            TransactionCanceledException=TransactionCanceledException,
        )
    )

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        self._answers()
        assert ConsistentRead
        found = self.items.get(_key(Key))
        return {"Item": _copied(found)} if found else {}

    def query(self, **request: Any) -> dict[str, Any]:
        self._answers()
        self.queries += 1
        assert request["ConsistentRead"]
        values = request["ExpressionAttributeValues"]
        partition = values[":partition"]["S"]
        prefix = values.get(":prefix", {"S": ""})["S"]
        keys = sorted(
            (key for key in list(self.items) if key[0] == partition and key[1].startswith(prefix)),
            reverse=not request["ScanIndexForward"],
        )
        return {
            "Items": [_copied(self.items[key]) for key in keys[: request.get("Limit")]],
        }

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self._answers()
        if self.before_write is not None:
            interfere, self.before_write = self.before_write, None
            interfere()
        actions = [action for item in TransactItems for action in item.values()]
        keys = [_key(action.get("Item") or action["Key"]) for action in actions]
        assert len(set(keys)) == len(keys), "one item twice in a transaction"
        assert len(keys) <= 100, "more items than a transaction takes"
        codes = [
            "None" if self._holds(action, self.items.get(key)) else "ConditionalCheckFailed"
            for action, key in zip(actions, keys, strict=True)
        ]
        if set(codes) != {"None"}:
            raise TransactionCanceledException(codes)
        for action, key in zip(actions, keys, strict=True):
            if "Item" in action:
                self.items[key] = _copied(action["Item"])
        self.transactions += 1
        return {}

    def _answers(self) -> None:
        if self.away:
            raise ConnectionError("no route to the ledger")

    @staticmethod
    def _holds(action: dict[str, Any], found: Item | None) -> bool:
        condition = action.get("ConditionExpression")
        if condition is None:
            return True
        if condition == "attribute_not_exists(pk)":
            return found is None
        assert condition == "#attribute = :believed", f"condition unknown here: {condition}"
        name = action["ExpressionAttributeNames"]["#attribute"]
        return (
            found is not None
            and found.get(name) == (action["ExpressionAttributeValues"][":believed"])
        )


def _key(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def ledger_on(table: FakeDynamoDB) -> Outbox:
    """The real ledger on a table in memory."""
    return Outbox(cast("DynamoDBClient", table), "ledger")


class FakeLedger(Ledger):
    """The real ledger on a table in memory that says what a test puts there, even what is wrong.

    Its own methods put items past the transitions, which would refuse a version that no release
    brought, or another hash of one that is known.
    """

    def __init__(self, activated: str | None = None) -> None:
        self.table = FakeDynamoDB()
        super().__init__(cast("DynamoDBClient", self.table), "ledger")
        if activated is not None:
            self.activated(activated)

    def activated(self, release: str) -> None:
        """Note a release as the one that was activated last."""
        reference = ReleaseRef(release=release, made_at="2026")
        deployed = Deployed(release=reference, commit="c0ffee", carries={}, at="2026")
        self._put(DEPLOYED_KEY, deployed.to_attributes())

    def move(self, active: VersionRef, task: str = "part-class", by: str = "pipeline") -> int:
        """Point a task to a version, by the next revision, which is returned."""
        revision = self._next_revision()
        pointer = Pointer(
            task=task,
            active=active,
            previous=None,
            frozen=False,
            revision=revision,
            changed_by=by,
            reason="",
            at="2026",
            release=ReleaseRef(release="r", made_at="2026"),
        )
        self._put(pointer.key, pointer.to_attributes())
        self._put(HEAD_KEY, {"revision": revision})
        return revision

    def forget(self, task: str) -> None:
        """Leave a task without a pointer, by the next revision."""
        del self.table.items[(ACTIVE, task)]
        self._put(HEAD_KEY, {"revision": self._next_revision()})

    def _next_revision(self) -> int:
        # Past `away`, too: the ledger changes while the service does not reach it.
        head = self.table.items.get(HEAD_KEY)
        return 1 if head is None else int(head["revision"]["N"]) + 1

    def _put(self, key: tuple[str, str], attributes: dict[str, object]) -> None:
        names = (aws_names.LEDGER_PARTITION_KEY, aws_names.LEDGER_SORT_KEY)
        item = {**dict(zip(names, key, strict=True)), **attributes}
        self.table.items[key] = {name: cast(Any, pack(value)) for name, value in item.items()}
