"""What a meta-prompt says about a candidate, each citation checked against the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from prompt_hub.llm.client import Answer, ModelUnavailableError
from prompt_hub.reporting.words import count
from prompt_hub.repository.schema import (
    Example,
    JsonObject,
    Prompt,
    Sha256,
    Strict,
    TaskName,
    Version,
)
from prompt_hub.scoring import normalise

EXAMPLES_SHOWN = 8

Severity = Literal["high", "medium", "low"]


class Criticism(Strict):
    """One finding as the model words it."""

    line: Annotated[int, Field(ge=1)]
    quote: Annotated[str, Field(min_length=1)]
    severity: Severity
    problem: Annotated[str, Field(min_length=1)]
    suggestion: Annotated[str, Field(min_length=1)]


class Finding(Strict):
    """One finding whose citation was looked up.

    `citation` is `verified` where the quoted words stand on the line that was named, `moved` where
    they stand on another one, which `line` then names, and `invented` where the file does not have
    them: then there is no line.
    """

    line: int | None
    quote: str
    citation: Literal["verified", "moved", "invented"]
    severity: Severity
    problem: str
    suggestion: str


class Review(Strict):
    """One review of one candidate, as it is logged in `04-evals/TASK/reviews`."""

    schema_: Annotated[Literal["prompt-hub/review@1"], Field(alias="schema")]
    task: TaskName
    version: Version
    sha256: Sha256
    file: str
    reviewer: Version
    reviewer_sha256: Sha256
    model: str
    at: datetime
    findings: tuple[Finding, ...]

    @property
    def grounded(self) -> tuple[Finding, ...]:
        """Findings that point at the file, the gravest first."""
        order = ("high", "medium", "low")
        found = (one for one in self.findings if one.citation != "invented")
        return tuple(sorted(found, key=lambda one: (order.index(one.severity), one.line or 0)))

    def to_json(self) -> str:
        """The review as it is logged."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


def questions(text: str, purpose: str, examples: Sequence[Example]) -> JsonObject:
    """What the meta-prompt is told about a candidate.

    Args:
        text: the candidate's file.
        purpose: what the task is for, in its owner's words.
        examples: the task's examples; the first few are shown.
    """
    width = len(str(text.count("\n") + 1))
    lines = (f"{number:>{width}} {line}" for number, line in enumerate(text.splitlines(), start=1))
    shown = (
        json.dumps({"input": one.input, "expected": one.expected}, ensure_ascii=False)
        for one in examples[:EXAMPLES_SHOWN]
    )
    return {"purpose": purpose, "prompt": "\n".join(lines), "examples": "\n".join(shown) or "none"}


def findings(answer: Answer, text: str) -> tuple[Finding, ...]:
    """The findings in an answer, citations looked up in the candidate's file.

    Raises:
        ModelUnavailable: the answer is no list of findings.
    """
    said = answer.output.get("findings") if answer.valid and answer.output else None
    try:
        parsed = TypeAdapter(tuple[Criticism, ...]).validate_python(said)
    except ValidationError:
        problem = answer.problem or "it holds no findings of the agreed form"
        raise ModelUnavailableError(f"the review cannot be used: {problem}.") from None
    lines = [normalise(line) for line in text.splitlines()]
    return tuple(_looked_up(one, lines) for one in parsed)


def _looked_up(said: Criticism, lines: Sequence[str]) -> Finding:
    quoted = normalise(said.quote)
    places = [number for number, line in enumerate(lines, start=1) if quoted and quoted in line]
    line: int | None = None
    citation: Literal["verified", "moved", "invented"] = "invented"
    if said.line in places:
        line, citation = said.line, "verified"
    elif places:
        line, citation = min(places, key=lambda place: abs(place - said.line)), "moved"
    return Finding(line=line, citation=citation, **said.model_dump(exclude={"line"}))


def reviewed(
    candidate: Prompt,
    file: str,
    reviewer: Prompt,
    model: str,
    at: datetime,
    found: tuple[Finding, ...],
) -> Review:
    """Put a review together."""
    return Review(
        schema_="prompt-hub/review@1",
        task=candidate.task,
        version=candidate.version,
        sha256=candidate.sha256,
        file=file,
        reviewer=reviewer.version,
        reviewer_sha256=reviewer.sha256,
        model=model,
        at=at,
        findings=found,
    )


def in_words(review: Review) -> str:
    """A review as a person reads it."""
    grounded = review.grounded
    invented = len(review.findings) - len(grounded)
    lines = [
        f"{review.task} {review.version}: {count(len(grounded), 'finding')}"
        f" by the review prompt {review.reviewer} on {review.model}"
    ]
    for one in grounded:
        moved = " (cited on another line)" if one.citation == "moved" else ""
        lines += [
            f"  {review.file}:{one.line} [{one.severity}] {one.problem}",
            f"    “{one.quote}”{moved}",
            f"    {one.suggestion}",
        ]
    if invented:
        left_out = count(invented, "finding")
        lines.append(f"  {left_out} cited words that the file does not have: left out here")
    lines.append("  advice, not a verdict: the gate looks at examples only")
    return "\n".join(lines)
