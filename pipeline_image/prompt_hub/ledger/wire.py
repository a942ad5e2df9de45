"""Plain Python values ↔ DynamoDB's typed JSON, for the few types that the ledger uses.

boto3 has a serialiser, but it takes numbers as `Decimal` only; scores are floats here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast


def pack(value: object) -> dict[str, object]:
    """Return a plain value as a DynamoDB attribute value; raises `TypeError` for any other type.

    >>> pack({"score": 0.5, "previous": None})
    {'M': {'score': {'N': '0.5'}, 'previous': {'NULL': True}}}
    """
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, list | tuple):
        return {"L": [pack(member) for member in value]}
    if isinstance(value, Mapping):
        return {"M": {str(name): pack(member) for name, member in value.items()}}
    raise TypeError(f"the ledger does not store {type(value).__name__} values")


def unpack(value: Mapping[str, object]) -> object:
    """Return the plain value of a DynamoDB attribute value; the inverse of `pack`."""
    ((kind, content),) = value.items()
    if kind == "NULL":
        return None
    if kind == "N":
        text = str(content)
        return int(text) if text.lstrip("-").isdigit() else float(text)
    if kind == "L":
        return [unpack(member) for member in cast(list[Mapping[str, object]], content)]
    if kind == "M":
        return unpack_item(cast(Mapping[str, Mapping[str, object]], content))
    if kind in {"S", "BOOL"}:
        return content
    raise TypeError(f"the ledger does not store attributes of type {kind}")


def unpack_item(item: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Every attribute of an item, unpacked."""
    return {name: unpack(value) for name, value in item.items()}
