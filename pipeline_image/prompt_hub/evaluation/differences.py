"""What a record says otherwise than the same record made again, place by place. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

ROUNDING = 1e-9
"""By which numbers of an earlier gate may differ: it summed up floats, today's sums are exact."""
LAST_PLACE = 1.001e-3
"""By which the same numbers may differ in words, where they have three places."""
_NUMBER = re.compile(r"\d+\.\d+")

Difference = tuple[str, str]
"""A place in the record, and how it differs, in words."""


def differences(then: str, now: str, *, rounding: bool) -> Iterator[Difference]:
    """Yield where two records differ; `rounding` alone is no difference where it says so."""
    found = [*_differences(json.loads(then), json.loads(now), rounding=rounding)]
    if not found and not rounding and then != now:
        found = [("record", "its text was formatted by another program")]
    yield from found


def _differences(
    then: JsonValue, now: JsonValue, *, rounding: bool, where: str = ""
) -> Iterator[Difference]:
    """Where two JSON values differ, outermost first."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in dict.fromkeys((*then, *now)):
            inside = f"{where}.{name}" if where else name
            yield from _differences(then.get(name), now.get(name), rounding=rounding, where=inside)
    elif then != now and not (rounding and _rounded_alike(then, now)):
        yield where, f"{json.dumps(then)} in the record, {json.dumps(now)} made again"


def _rounded_alike(then: JsonValue, now: JsonValue) -> bool:
    """Whether two numbers, or texts with numbers in them, differ by rounding alone."""
    if isinstance(then, float) and isinstance(now, float):
        return abs(then - now) <= ROUNDING
    if isinstance(then, str) and isinstance(now, str):
        numbers = zip(_NUMBER.findall(then), _NUMBER.findall(now), strict=False)
        return _NUMBER.sub("", then) == _NUMBER.sub("", now) and all(
            abs(float(old) - float(new)) <= LAST_PLACE for old, new in numbers
        )
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        pairs = zip(then, now, strict=True)
        return all(old == new or _rounded_alike(old, new) for old, new in pairs)
    return False
