"""What `prompt-hub new` writes for people to replace, and where it still stands."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import JsonValue

from prompt_hub.repository.schema import Example, Prompt

PLACEHOLDER = "REPLACE ME"
"""In a value that nobody could guess."""
PLACEHOLDER_ID = "replace-me-"
"""What the id of an example begins with that is not of the task's own data."""


def is_placeholder(example: Example) -> bool:
    """Whether an example is what `prompt-hub new` wrote, or holds some of it."""
    values: tuple[JsonValue, ...] = (example.input, example.expected)
    return example.id.startswith(PLACEHOLDER_ID) or any(map(_holds, values))


def placeholder_reason(prompt: Prompt, examples: Iterable[Example]) -> str | None:
    """Say why this may not be released, or return None: nothing is left to be replaced."""
    if any(PLACEHOLDER in message.content for message in prompt.messages):
        return f"the prompt still says {PLACEHOLDER!r}"
    left = [example.id for example in examples if is_placeholder(example)]
    if left:
        return (
            f"{len(left)} of its examples are those that `prompt-hub new` wrote, such as"
            f" {left[0]!r}: they say nothing about your data"
        )
    return None


def _holds(value: JsonValue) -> bool:
    match value:
        case str():
            return PLACEHOLDER in value
        case dict():
            return any(map(_holds, value.values()))
        case list():
            return any(map(_holds, value))
        case _:
            return False
