"""Equal content has equal hashes, and nothing else has."""

from __future__ import annotations

import pytest

from prompt_hub.core.hashing import sha256_of
from prompt_hub.repository.examples import examples_sha256
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder


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
