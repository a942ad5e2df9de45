"""What a model has answered: one shape from the provider to the report, contained and not copied.

Names are OpenTelemetry's for GenAI (`gen_ai.usage.input_tokens`, `gen_ai.response.model`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from prompt_hub.core.json_strict import strict_json
from prompt_hub.repository.contracts import schema_problem
from prompt_hub.repository.nulls import without_nulls
from prompt_hub.repository.schema import JsonObject


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What one answer took. A provider counts the tokens; `ModelClient` adds the rest."""

    input_tokens: int
    output_tokens: int
    usd: float | None = None
    """None where the settings name no price."""
    seconds: float = 0.0
    """Wall time of the attempt that was answered, without the waiting before it; four decimals."""
    attempts: int = 1

    @property
    def tokens(self) -> int:
        """Sent and received together."""
        return self.input_tokens + self.output_tokens

    def to_json(self) -> JsonObject:
        """Return it as lines on disk keep it."""
        return {
            "tokens": [self.input_tokens, self.output_tokens],
            "usd": self.usd,
            "seconds": self.seconds,
            "attempts": self.attempts,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelResponse:
    """What a provider sent back."""

    text: str
    model: str
    """The model that the provider says it used."""
    truncated: bool = False
    """Whether the answer was cut off at its greatest length."""
    usage: Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A response, read as the prompt's output contract wants it."""

    response: ModelResponse
    output: JsonObject | None
    """The object in the text; None where it breaks the contract."""
    problem: str | None
    """Why there is no output."""
    cached: bool = False
    """Whether an earlier run has paid for it: the usage is that of then."""

    @classmethod
    def of(cls, response: ModelResponse, schema: JsonObject, *, cached: bool = False) -> Answer:
        """Check a response against an output schema."""
        output, problem = output_in(response.text, schema)
        if response.truncated:
            output = None
            problem = f"the answer was cut off after {response.usage.output_tokens} tokens"
        return cls(response=response, output=output, problem=problem, cached=cached)

    @property
    def valid(self) -> bool:
        """Whether the output fits its schema."""
        return self.problem is None


def output_in(text: str, schema: JsonObject) -> tuple[JsonObject | None, str | None]:
    """Return the object that a text holds if it fits `schema`; if not, in which way."""
    try:
        value = strict_json(text)
    except json.JSONDecodeError as error:
        return None, f"the answer is not JSON ({error.msg} at column {error.colno})"
    except ValueError as error:
        return None, f"the answer is not JSON ({error})"
    if not isinstance(value, dict):
        return None, "the answer is not a JSON object"
    value = without_nulls(value, schema)
    problem = schema_problem(value, schema)
    return (value, None) if problem is None else (None, problem)


def repair_surrogates(text: str) -> str:
    """Replace each half of a character: JSON can hold one, but no file could."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
