"""Plain values of ledger items, read as the type that they must have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast


def mapping(value: object) -> Mapping[str, object]:
    """Return `value`; raises `ValueError` unless it is a map."""
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a map, found {value!r}")
    return cast(Mapping[str, object], value)


def whole_number(value: object) -> int:
    """Return `value`; raises `ValueError` unless it is a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"expected a whole number, found {value!r}")
    return value


def real(value: object) -> float:
    """Return `value`; raises `ValueError` unless it is a number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"expected a number, found {value!r}")
    return float(value)
