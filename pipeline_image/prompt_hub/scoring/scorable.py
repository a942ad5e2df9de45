"""Whether a version's answers can be scored by scorers and examples that another version brought.

Both follow the candidate's output. A version whose output is another one would be called wrong
about fields that nobody has asked it for, and that is no score of what it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from prompt_hub.repository.contracts import SchemaViolation, at, fits, violations
from prompt_hub.repository.schema import Example, JsonObject, Prompt
from prompt_hub.scoring.base import RuleContext
from prompt_hub.scoring.registry import Scorer
from prompt_hub.scoring.scorers.injection import InjectionSettings


def unscorable_reason(
    prompt: Prompt, scorers: Sequence[Scorer], examples: Iterable[Example]
) -> str | None:
    """Why answers of a prompt cannot be scored, in words; None where they can.

    What it may only say in other words than are expected, as where an enumeration has become
    wider, can be scored: there it is right or wrong like any other.
    """
    output = f"the output of {prompt.task} {prompt.version}"
    # What asks for the folder or for a judge compares whole outputs.
    context = RuleContext(prompt=prompt, root=Path(), has_judge=True)
    words: set[str] = set()
    paths: set[tuple[str, ...]] = set()
    for scorer in scorers:
        if isinstance(scorer, InjectionSettings):
            continue  # about the input
        if scorer.whole:
            words |= scorer.whole
            continue
        for _, found, expected in scorer.complaints(context):
            return f"{output} does not suit the scorers (found {found}; expected {expected})"
        # A quantity is the same as a number and as a text.
        compared = (field for field in scorer.compared(()) if field.how.compare != "quantity")
        paths |= {tuple(field.path.split(".")) for field in compared}
    for example in examples:
        if fits(example.expected, prompt.output):
            continue
        for violation in violations(example.expected, prompt.output):
            path = tuple(step for step in violation.location if isinstance(step, str))
            looked_at = violation.keyword in words or (
                violation.keyword == "type" and path in paths
            )
            if looked_at and not _is_wider(violation, example.expected):
                where = f"{'.'.join(path)}: " if path else ""
                return (
                    f"{output} does not take what is expected of {example.id}"
                    f" ({where}{violation.message})"
                )
    return None


def _is_wider(found: SchemaViolation, expected: JsonObject) -> bool:
    """Whether a value is of a type that only adds to those of the output: a null, a fraction."""
    if found.keyword != "type":
        return False
    value = at(expected, found.location)
    return value is None or (isinstance(value, float) and "integer" in str(found.value))
