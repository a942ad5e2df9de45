"""One canonical form, one hash: equal content has equal hashes on every machine.

Where what is hashed is sent to a model, the order of its keys is part of it: a constrained decoder
writes properties in the order of the schema, and a model reads examples as they stand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)

_AS_IT_STANDS = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: object) -> bytes:
    """JSON with sorted keys, no spaces and no escapes; raises `ValueError` for NaN or infinity."""
    return _CANONICAL.encode(value).encode("utf-8")


def sha256_of(value: object) -> str:
    """Lower-case hexadecimal SHA-256 of the canonical form of a JSON value."""
    return hashlib.sha256(canonical(value)).hexdigest()


def file_sha256(path: Path) -> str:
    """Lower-case hexadecimal SHA-256 of a file's bytes, which are never held all at once."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_FIRST = {
    key: place
    for place, key in enumerate(
        (
            "type", "additionalProperties", "required", "properties", "minLength", "maxLength",
            "minItems", "maxItems", "minimum", "maximum", "items",
        )
    )
}  # fmt: skip
"""Keys that come first in the usual order, which is that of this repository's first schemas."""


def order_of(value: object) -> str | None:
    """Return a JSON value as it is written, None where all of its keys stand in the usual order.

    The usual order is: the keys of `_FIRST`, then all others by the alphabet. What stands so is
    told apart by its canonical form alone, and keeps the hash that it had before order counted.
    """
    if _is_usual(value):
        return None
    return _AS_IT_STANDS.encode(value)


def order_sha256(values: Callable[[], Iterable[object]]) -> str | None:
    """Return the hash of `order_of` a list of JSON values, None where that is None.

    The list is taken piece by piece: a large one is not held at once.

    Args:
        values: yields them from the first on, whenever it is called.
    """
    if all(map(_is_usual, values())):
        return None
    # The list is text that is hashed like any other: as JSON once more, between quotes.
    whole, between = hashlib.sha256(b'"['), ""
    for value in values():
        whole.update(canonical(between + _AS_IT_STANDS.encode(value))[1:-1])
        between = ","
    whole.update(b']"')
    return whole.hexdigest()


def _is_usual(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_usual, value))
    if not isinstance(value, dict):
        return True
    usual = sorted(value, key=lambda key: (_FIRST.get(key, len(_FIRST)), key))
    return [*value] == usual and all(map(_is_usual, value.values()))


def evidence_sha256(record: bytes, details: bytes) -> str:
    """Hash that seals an evaluation record and its details, byte for byte, as they are stored."""
    return hashlib.sha256(
        hashlib.sha256(record).digest() + hashlib.sha256(details).digest()
    ).hexdigest()
