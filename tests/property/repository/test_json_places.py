"""Every value of a JSON text is found where it stands."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.repository.json_positions import JsonScanner, Location

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('a"\\[{é'), inner),
)


def at(value: object, location: Location) -> object:
    for step in location:
        value = value[step]  # type: ignore[index]
    return value


def count(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(count, value.values()))
    return 1 + sum(map(count, value)) if isinstance(value, list) else 1


@given(VALUES, st.none() | st.integers(0, 3), st.booleans(), st.sampled_from(["", " ", "\n\t"]))
def test_what_stands_at_a_place_is_the_value(
    value: object, indent: int | None, ascii_only: bool, around: str
) -> None:
    text = around + json.dumps(value, indent=indent, ensure_ascii=ascii_only) + around
    scan = JsonScanner(text)
    assert scan.oddities == []
    assert len(scan.values) == count(value)
    for location, offset in scan.values.items():
        assert json.JSONDecoder().raw_decode(text, offset)[0] == at(value, location)
    for location, offset in scan.keys.items():
        assert json.JSONDecoder().raw_decode(text, offset)[0] == location[-1]
