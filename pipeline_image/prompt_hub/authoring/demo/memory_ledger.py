"""A ledger whose table is in this process; decisions, conditions and history are the real ones."""

from __future__ import annotations

from prompt_hub.core import aws_names
from prompt_hub.ledger.errors import LedgerConflictError
from prompt_hub.ledger.item_table import Key, Step
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.wire import pack, unpack_item


class MemoryLedger(Ledger):
    """Reads and writes items as DynamoDB would keep them, as long as the process lives."""

    def __init__(self) -> None:
        # There is no client: the three methods below are all that would ask it.
        self._items: dict[Key, dict[str, dict[str, object]]] = {}

    def _write(self, *steps: Step) -> None:
        """Write all of the steps, or none where one of them believes what is not so."""
        if not all(step.unconditional or self._is_as_believed(step) for step in steps):
            raise LedgerConflictError("somebody else changed the ledger first")
        for step in steps:
            if step.attributes is not None:
                names = (aws_names.LEDGER_PARTITION_KEY, aws_names.LEDGER_SORT_KEY)
                item = {**dict(zip(names, step.key, strict=True)), **step.attributes}
                self._items[step.key] = {name: pack(value) for name, value in item.items()}

    def _is_as_believed(self, step: Step) -> bool:
        found = self._items.get(step.key)
        if step.believed is None:
            return found is None
        return found is not None and found.get(step.attribute) == pack(step.believed)

    def _get(self, key: Key) -> dict[str, object] | None:
        found = self._items.get(key)
        return None if found is None else unpack_item(found)

    def _query(
        self,
        partition: str,
        prefix: str = "",
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> list[dict[str, object]]:
        keys = [key for key in self._items if key[0] == partition and key[1].startswith(prefix)]
        return [unpack_item(self._items[key]) for key in sorted(keys, reverse=newest_first)[:limit]]
