"""Whether a version's answers can be scored by scorers and examples that another version brought.

Both follow the candidate's output. A version whose output is another one would be called wrong
about fields that nobody has asked it for, and that is no score of what it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from prompt_hub.repository.contracts import (
    SchemaViolation,
    at,
    fits,
    properties,
    resolve,
    violations,
)
from prompt_hub.repository.schema import Example, JsonObject, Prompt
from prompt_hub.scoring.base import WHOLE, RuleContext
from prompt_hub.scoring.field_rules import may_be, object_at, undeclared
from prompt_hub.scoring.registry import Scorer
from prompt_hub.scoring.scorers.injection import InjectionSettings
from prompt_hub.scoring.scorers.json_fields import FieldsSettings


def unscorable_reason(
    prompt: Prompt, scorers: Sequence[Scorer], examples: Iterable[Example], written_for: JsonObject
) -> str | None:
    """Why answers of a prompt cannot be scored, in words; None where they can.

    What it may only say in other words than are expected, as where an enumeration has become
    wider, can be scored: there it is right or wrong like any other. `written_for` is the output of
    the candidate that the examples came with: a name that it lacks, too, is no name that changed.
    """
    output = f"the output of {prompt.task} {prompt.version}"
    # What asks for the folder or for a judge compares whole outputs.
    context = RuleContext(prompt=prompt, root=Path(), has_judge=True)
    words: set[str] = set()
    paths: set[tuple[str, ...]] = set()
    by_fields = True
    for scorer in scorers:
        if isinstance(scorer, InjectionSettings):
            continue  # about the input
        if scorer.whole:
            words |= scorer.whole
            by_fields = by_fields and isinstance(scorer, FieldsSettings)
            continue
        for _, found, expected in scorer.complaints(context):
            return f"{output} does not suit the scorers (found {found}; expected {expected})"
        # A quantity is the same as a number and as a text.
        compared = (field for field in scorer.compared(()) if field.how.compare != "quantity")
        paths |= {tuple(field.path.split(".")) for field in compared}

    def problems(expected: JsonObject) -> Iterator[tuple[tuple[str, ...], str]]:
        for found in () if fits(expected, prompt.output) else violations(expected, prompt.output):
            path = tuple(step for step in found.location if isinstance(step, str))
            named = _is_below(path, paths)
            counts = found.keyword in words or (named and found.keyword in WHOLE)
            # To who counts fields, an empty list is as good as none; not so in what is one value.
            empty = by_fields and not named and path == found.location
            if counts and not _is_as_good(found, expected, prompt.output, empty=empty):
                yield path, found.message
        for path in undeclared(expected, prompt.output):
            counts = "additionalProperties" in words or _is_below(path, paths)
            if counts and path not in undeclared(expected, written_for):
                yield path, "the output has no such field"

    for example in examples:
        for path, message in problems(example.expected):
            where = f"{'.'.join(path)}: " if path else ""
            return f"{output} does not take what is expected of {example.id} ({where}{message})"
    return None


def _is_below(path: tuple[str, ...], paths: set[tuple[str, ...]]) -> bool:
    return any(path[:end] in paths for end in range(1, len(path) + 1))


def _is_as_good(
    found: SchemaViolation, expected: JsonObject, output: JsonObject, *, empty: bool
) -> bool:
    """Whether the output can say what is expected, or what is scored as the same.

    A null or a fraction only adds to the types of the output. A null is as good as a field that is
    left out, and so is an empty list where `empty` says so.
    """
    value = at(expected, found.location)
    if found.keyword == "type":
        fraction = isinstance(value, float) and "integer" in str(found.value)
        return value is None or fraction or (empty and value == [])
    if found.keyword == "required":
        declared = properties(object_at(output, found.location))
        types = ("null", "array") if empty else ("null",)
        return all(may_be(resolve(declared.get(name), output), *types) for name in found.names)
    items = [value.get(name) for name in found.names] if isinstance(value, dict) else []
    return bool(items) and all(item is None or (empty and item == []) for item in items)
