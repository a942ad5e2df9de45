"""What the ledger writes, it reads back the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.ledger.items import (
    Pointer,
    ReleaseRef,
    VersionRef,
    timestamp,
)
from prompt_hub.ledger.wire import pack, unpack

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(plain)
def test_unpack_is_the_inverse_of_pack(value: object) -> None:
    assert unpack(pack(value)) == value


@given(
    frozen=st.booleans(),
    previous=st.none() | st.builds(VersionRef, version=st.text(), sha256=st.text()),
    revision=st.integers(1, 10**12),
    text=st.text(),
)
def test_a_pointer_survives_the_table(
    frozen: bool, previous: VersionRef | None, revision: int, text: str
) -> None:
    pointer = Pointer(
        task="brand",
        active=VersionRef(version="1.0.0", sha256="a" * 64),
        previous=previous,
        frozen=frozen,
        revision=revision,
        changed_by=text,
        reason=text,
        at=timestamp(datetime(2026, 11, 3, tzinfo=UTC)),
        release=ReleaseRef(release="r", made_at="2026"),
        frozen_by=text if frozen else "",
        frozen_reason=text if frozen else "",
    )
    stored = cast(dict[str, object], unpack(pack(pointer.to_attributes())))
    assert Pointer.from_attributes("brand", stored) == pointer
    assert stored["shares"] == {"1.0.0": 1.0}
    del stored["retired"]  # as it was written before tasks could be retired
    assert Pointer.from_attributes("brand", stored) == pointer


@given(
    st.lists(
        st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)), min_size=2, max_size=5
    )
)
def test_times_sort_as_text(moments: list[datetime]) -> None:
    # strftime pads years below 1000 differently from one platform to the next.
    assert sorted(map(timestamp, moments)) == [timestamp(moment) for moment in sorted(moments)]
