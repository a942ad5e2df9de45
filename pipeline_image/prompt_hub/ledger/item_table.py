"""Items of DynamoDB: consistent reads, conditional transactions as the only writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

from prompt_hub.core import aws_names
from prompt_hub.ledger.errors import LedgerConflictError, LedgerError, LedgerMissingError
from prompt_hub.ledger.items import Attributes
from prompt_hub.ledger.wire import pack, unpack_item

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef, TransactWriteItemTypeDef

Key = tuple[str, str]
NOT_THERE = f"attribute_not_exists({aws_names.LEDGER_PARTITION_KEY})"


@dataclass(frozen=True, kw_only=True)
class Step:
    """Write a whole item, if what is there is what was believed to be there.

    That is: `attribute` has the value `believed`, or, where that is `None`, there is no item.
    Without `attributes` nothing is written, only the belief is checked.
    """

    key: Key
    attributes: Attributes | None
    attribute: str = "revision"
    believed: object = None
    unconditional: bool = False


class ItemTable:
    """Reads and writes the items of one table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    @classmethod
    def connect(cls, table: str, *, session: boto3.Session | None = None) -> Self:
        """Return what is in the DynamoDB table named `table`; with `session`, elsewhere."""
        import boto3
        from botocore.config import Config

        # Whoever reads the ledger would rather try again than wait for a minute.
        config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 3})
        return cls((session or boto3).client("dynamodb", config=config), table)

    def _write(self, *steps: Step) -> None:
        try:
            self._client.transact_write_items(TransactItems=[self._action(step) for step in steps])
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = cast(
                Iterable[Mapping[str, str]], error.response.get("CancellationReasons", ())
            )
            codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
            if codes <= {"ConditionalCheckFailed", "TransactionConflict"}:
                raise LedgerConflictError("somebody else changed the ledger first") from error
            raise LedgerError(f"the ledger refused a transaction: {', '.join(codes)}") from error

    def _action(self, step: Step) -> TransactWriteItemTypeDef:
        partition, sort = step.key
        keys = {aws_names.LEDGER_PARTITION_KEY: partition, aws_names.LEDGER_SORT_KEY: sort}
        action: dict[str, object] = {"TableName": self._table}
        if step.attributes is None:
            action["Key"] = _packed(keys)
        else:
            action["Item"] = _packed({**keys, **step.attributes})
        if not step.unconditional:
            if step.believed is None:
                action["ConditionExpression"] = NOT_THERE
            else:
                action["ConditionExpression"] = "#attribute = :believed"
                action["ExpressionAttributeNames"] = {"#attribute": step.attribute}
                action["ExpressionAttributeValues"] = {":believed": pack(step.believed)}
        kind = "ConditionCheck" if step.attributes is None else "Put"
        return cast("TransactWriteItemTypeDef", {kind: action})

    def _get(self, key: Key) -> dict[str, object] | None:
        partition, sort = key
        try:
            answer = self._client.get_item(
                TableName=self._table,
                Key={
                    aws_names.LEDGER_PARTITION_KEY: {"S": partition},
                    aws_names.LEDGER_SORT_KEY: {"S": sort},
                },
                ConsistentRead=True,
            )
        except self._client.exceptions.ResourceNotFoundException:
            raise LedgerMissingError(f"there is no table {self._table}") from None
        item = answer.get("Item")
        return _unpacked(item) if item else None

    def _query(
        self,
        partition: str,
        prefix: str = "",
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[dict[str, object]]:
        condition = f"{aws_names.LEDGER_PARTITION_KEY} = :partition"
        values = {":partition": {"S": partition}}
        if prefix:
            condition += f" AND begins_with({aws_names.LEDGER_SORT_KEY}, :prefix)"
            values[":prefix"] = {"S": prefix}
        request: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
        }
        if limit is not None:
            request["Limit"] = limit
        items: list[dict[str, object]] = []
        while True:
            try:
                answer = self._client.query(**request)
            except self._client.exceptions.ResourceNotFoundException:
                raise LedgerMissingError(f"there is no table {self._table}") from None
            items += map(_unpacked, answer["Items"])
            rest = answer.get("LastEvaluatedKey")
            if not rest or (limit is not None and len(items) >= limit):
                return items[:limit]
            request["ExclusiveStartKey"] = rest


def _packed(item: Mapping[str, object]) -> dict[str, dict[str, object]]:
    return {name: pack(value) for name, value in item.items()}


def _unpacked(item: Mapping[str, object]) -> dict[str, object]:
    return unpack_item(cast(Mapping[str, Mapping[str, object]], item))
