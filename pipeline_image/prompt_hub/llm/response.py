"""What a model has answered: one shape from the provider to the report, contained and not copied.

Names are OpenTelemetry's for GenAI (`gen_ai.usage.input_tokens`, `gen_ai.response.model`).

Nobody changes what these hold, but for `ModelClient`, which completes what an adapter has made for
a call. They are not frozen, for every call makes several, and a frozen one takes four times as long
to make.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from prompt_hub.core.foreign_text import one_line
from prompt_hub.core.json_strict import strict_json, without_place
from prompt_hub.core.wording import count
from prompt_hub.llm.answer_text import (
    holds_answer_behind_thinking,
    is_fenced,
    is_thinking_alone,
    trimmed,
    without_fence,
)
from prompt_hub.repository.contracts import schema_problem
from prompt_hub.repository.nulls import without_nulls
from prompt_hub.repository.schema import JsonObject, Prompt


@dataclass(kw_only=True, slots=True)
class Usage:
    """What one answer took. A provider counts the tokens; `ModelClient` adds the rest.

    Tokens are also those of the attempts before it that the provider broke off, as far as it has
    counted them: they are paid for.
    """

    input_tokens: int
    output_tokens: int
    usd: float | None = None
    """What was paid; of a stored answer at today's price. None where the settings name none."""
    seconds: float | None = 0.0
    """Wall time of the attempt that was answered, without the waiting before it; four decimals.

    None where nobody can know it: a batch says when it was done, and not how long a call took.
    """
    attempts: int = 1
    batch: float | None = None
    """The part of the price that was paid because it came in a batch; None of a call by itself."""

    @property
    def tokens(self) -> int:
        """Sent and received together."""
        return self.input_tokens + self.output_tokens

    @property
    def usd_live(self) -> float | None:
        """What a call by itself would have cost: the price at which a service is asked."""
        return self.usd if self.usd is None or self.batch is None else self.usd / self.batch

    def to_json(self) -> JsonObject:
        """Return it as lines on disk keep it."""
        line: JsonObject = {
            "tokens": [self.input_tokens, self.output_tokens],
            "usd": self.usd,
            "seconds": self.seconds,
            "attempts": self.attempts,
        }
        if self.batch is not None:
            line["batch"] = self.batch
        return line


@dataclass(frozen=True, slots=True)
class Withheld:
    """Why a response holds no answer to read, though the question is done with.

    Asking again would bring the same: this is an answer, worth nothing, and no outage.
    """

    reason: str
    """In words, for people."""
    filtered: bool = False
    """Whether the provider's content filter has decided it, not the model."""


FILTERED = Withheld("stopped by the provider's content filter", filtered=True)
"""The provider looks at questions and answers, too, and lets this one not through."""
_REFUSAL_CHARACTERS = 200


def refused(words: str) -> Withheld:
    """Say that the model refused, in its own words as far as they are short."""
    words = one_line(words, _REFUSAL_CHARACTERS)
    return Withheld(f"the model refused: {words}" if words else "the model refused")


def no_content(why: str) -> Withheld:
    """Say that a message has no text; `why` is the provider's reason for its end."""
    return Withheld(f"no content ({why})")


_STILL_THINKING = "in the model's thinking: reasoning.tokens of its alias make room for that"


def cut_off(tokens: int, *, thinking: bool) -> str:
    """Say that an answer was cut off after so many tokens; `thinking` if it had not begun."""
    problem = f"the answer was cut off after {count(tokens, 'token')}"
    return f"{problem}, {_STILL_THINKING}" if thinking else problem


@dataclass(kw_only=True, slots=True)
class ModelResponse:
    """What a provider sent back."""

    text: str
    model: str
    """The model that the provider says it used."""
    truncated: bool = False
    """Whether the answer was cut off at its greatest length."""
    withheld: Withheld | None = None
    """Why there is no answer in it; None where the text is one."""
    usage: Usage

    @property
    def cut_off(self) -> str:
        """What to say of an answer that was cut off."""
        return cut_off(self.usage.output_tokens, thinking=is_thinking_alone(self.text))

    def name_cut_off(self) -> None:
        """Keep how long a cut-off answer is, before its usage is that of other attempts, too."""
        if self.truncated and self.withheld is None:
            self.withheld = Withheld(self.cut_off)


@dataclass(kw_only=True, slots=True)
class Answer:
    """A response, read as the prompt's output contract wants it."""

    response: ModelResponse
    output: JsonObject | None
    """The object in the text; None where it breaks the contract."""
    problem: str | None
    """Why there is no output."""
    cached: bool = False
    """Whether it was stored before this run began: the usage is that of then."""

    @classmethod
    def of(cls, response: ModelResponse, prompt: Prompt, *, cached: bool = False) -> Answer:
        """Check a response against the output contract of its prompt."""
        output, problem = output_in(response.text, prompt)
        if response.truncated:
            output, problem = None, response.cut_off
        if response.withheld is not None:
            output, problem = None, response.withheld.reason
        return cls(response=response, output=output, problem=problem, cached=cached)

    @property
    def valid(self) -> bool:
        """Whether the output fits its schema."""
        return self.problem is None


def output_in(text: str, prompt: Prompt) -> tuple[JsonObject | None, str | None]:
    """Return the object that a text holds if it keeps the prompt's output contract.

    If it does not, say in which way.
    """
    try:
        value = object_in(text, prompt)
    except json.JSONDecodeError as error:
        why = _thinking_problem(text) or f"{without_place(error)} at column {error.colno}"
        return None, f"the answer is not JSON ({why})"
    except ValueError as error:
        return None, f"the answer is not JSON ({error})"
    if not isinstance(value, dict):
        return None, "the answer is not a JSON object"
    written = without_nulls(value, prompt.output)
    # What keeps the contract as it is stays as it is.
    problem = None if written is value else schema_problem(written, prompt.output)
    return (written, None) if problem is None else (None, problem)


def _thinking_problem(text: str) -> str | None:
    """Say what a model's thinking has to do with it that a text is not JSON; None for nothing."""
    if holds_answer_behind_thinking(text):
        return "the model reasons aloud before it; `reasoning` in its alias takes that off"
    return (
        "it is the model's thinking, with no answer behind it" if is_thinking_alone(text) else None
    )


def object_in(text: str, prompt: Prompt) -> object:
    """Return the JSON value that an answer to `prompt` holds; raises `ValueError` for none."""
    text = trimmed(text)
    if not text:
        raise ValueError("it is empty")
    if prompt.output_fence == "refused" and is_fenced(text):
        raise ValueError("it stands in a Markdown fence; output_fence: allowed takes that off")
    return strict_json(without_fence(text))


def repair_surrogates(text: str) -> str:
    """Replace each half of a character: JSON can hold one, but no file could."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
