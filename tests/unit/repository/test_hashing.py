"""Equal content has equal hashes, and nothing else has."""

from __future__ import annotations

import copy
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.core.hashing import canonical, sha256_of
from prompt_hub.repository.reader import examples_sha256
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder

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


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_json_has_no_hash(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        sha256_of({"a": number})


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


def test_version_description_and_lock_do_not_count(prompt: Prompt) -> None:
    renamed = prompt.model_copy(update={"version": "9.9.9", "description": "Another."})
    assert renamed.sha256 == prompt.sha256


@pytest.mark.parametrize(
    "change",
    [
        {"task": "other"},
        {"output": {"type": "object"}},
        {"few_shot": None},
        {"model": {"alias": "catalogue-latest"}},
    ],
)
def test_everything_that_can_change_an_answer_counts(
    prompt: Prompt, change: dict[str, object]
) -> None:
    changed = Prompt.model_validate({**prompt.to_file(), **change})
    assert changed.sha256 != prompt.sha256


def test_a_released_prompt_hashes_as_its_candidate_did(healthy: RepositoryFolder) -> None:
    repository = healthy.repository
    champion = repository.production("brand")
    assert champion is not None
    assert champion.lock is not None
    assert champion.lock.sha256 == champion.sha256 == repository.candidate("brand").sha256


def test_the_hash_of_examples_knows_their_order_but_not_their_spacing(
    healthy: RepositoryFolder,
) -> None:
    file = "prompts/01-examples/brand.jsonl"
    before = healthy.repository.examples_sha256("brand")
    text = healthy.read(file)
    healthy.write(file, text.replace('": ', '" :  ') + "\n\n")
    assert healthy.repository.examples_sha256("brand") == before
    examples = healthy.repository.examples("brand")
    assert examples_sha256(reversed(examples)) != before
