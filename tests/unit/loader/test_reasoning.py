"""Versions that were measured on a model that reasons, and answers of models that do."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.llm.config import ModelConfig, Reasoning, reasoning_tokens
from prompt_hub.loader import InvalidAnswerError
from prompt_hub.release.manifest import load
from tests.unit.building import RepositoryFolder
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.loader.loading import TASK, follow

ANSWER = '{"part_class": "diode"}'
THOUGHT = f"<reasoning>It conducts one way.</reasoning>{ANSWER}"


@pytest.fixture
def reasoning(healthy: RepositoryFolder) -> Path:
    """A release that was measured on a model that may think in 1024 tokens."""
    release = load(healthy.root).to_json()
    measured = release.replace("openai:small-model-2026-01", "bedrock:x+reasoning-low-1024")
    healthy.write(aws_names.RELEASE_FILE, measured)
    return healthy.root


def test_what_a_model_thinks_before_its_answer_is_taken_off(
    reasoning: Path, ledger: FakeLedger
) -> None:
    with follow(reasoning, ledger) as prompts:
        prompt = prompts[TASK]
        assert prompt.model == "bedrock:x+reasoning-low-1024"
        assert prompt.parse(THOUGHT) == prompt.parse(ANSWER) == {"part_class": "diode"}
        with pytest.raises(InvalidAnswerError, match="thinking, with no answer behind it"):
            prompt.parse("<reasoning>It conducts one way.</reasoning>")


def test_the_parameters_have_room_for_the_thinking(reasoning: Path, ledger: FakeLedger) -> None:
    with follow(reasoning, ledger) as prompts:
        expected = {"temperature": 0, "max_tokens": 32 + 1024, "seed": 7}
        assert prompts[TASK].parameters == prompts[TASK].parameters == expected


def test_thinking_is_refused_where_the_measured_model_does_not_reason(
    built: Path, ledger: FakeLedger
) -> None:
    with follow(built, ledger) as prompts, pytest.raises(InvalidAnswerError) as caught:
        prompts[TASK].parse(THOUGHT)
    assert "take that off before `parse`" in str(caught.value)
    assert "alias" not in str(caught.value)


@pytest.mark.parametrize(
    "reasoning",
    [None, Reasoning(effort="minimal", tokens=1), Reasoning(effort="high", tokens=100_000)],
)
def test_an_identity_says_how_long_a_model_may_think(reasoning: Reasoning | None) -> None:
    model = ModelConfig(alias="a", provider="openai", model="m+reasoning", reasoning=reasoning)
    assert reasoning_tokens(model.identity) == (reasoning.tokens if reasoning else None)
