"""Equal content has equal hashes, and nothing else has."""

from __future__ import annotations

import copy
import random

from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.core.hashing import canonical, sha256_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcd"), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value: object, chance: random.Random) -> object:
    """The same value, the keys of every object in another order."""
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: shuffled(value[name], chance) for name in names}
    if isinstance(value, list):
        return [shuffled(item, chance) for item in value]
    return copy.copy(value)


@given(VALUES, st.randoms())
def test_the_hash_does_not_know_the_order_of_keys(value: object, chance: random.Random) -> None:
    assert sha256_of(shuffled(value, chance)) == sha256_of(value)


@given(VALUES, VALUES)
def test_different_values_have_different_canonical_forms(one: object, other: object) -> None:
    # `True == 1` in Python, but not in JSON: compare what was written, not what Python calls equal.
    if repr(one) != repr(other) and one != other:
        assert canonical(one) != canonical(other)
