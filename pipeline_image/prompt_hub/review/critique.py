"""What a meta-prompt says about a candidate, each citation checked against the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from prompt_hub.core.foreign_text import one_line
from prompt_hub.core.wording import count
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import Answer
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
        found = (item for item in self.findings if item.citation != "invented")
        return tuple(
            sorted(found, key=lambda finding: (order.index(finding.severity), finding.line or 0))
        )


def questions(text: str, purpose: str, examples: Sequence[Example]) -> JsonObject:
    """Return what the meta-prompt is told about a candidate.

    Args:
        text: the candidate's file.
        purpose: what the task is for, in its owner's words.
        examples: the task's examples; the first few are shown.
    """
    width = len(str(text.count("\n") + 1))
    lines = (f"{number:>{width}} {line}" for number, line in enumerate(text.splitlines(), start=1))
    shown = (
        json.dumps({"input": example.input, "expected": example.expected}, ensure_ascii=False)
        for example in examples[:EXAMPLES_SHOWN]
    )
    return {"purpose": purpose, "prompt": "\n".join(lines), "examples": "\n".join(shown) or "none"}


def findings(answer: Answer, text: str) -> tuple[Finding, ...]:
    """Return the findings in an answer, citations looked up in the candidate's file.

    Raises:
        ModelUnavailableError: the answer is no list of findings.
    """
    value = answer.output.get("findings") if answer.output else None
    try:
        parsed = TypeAdapter(tuple[Criticism, ...]).validate_python(value)
    except ValidationError:
        problem = answer.problem or "it holds no findings of the agreed form"
        raise ModelUnavailableError(f"the review cannot be used: {problem}.") from None
    lines = [normalise(line) for line in text.splitlines()]
    return tuple(_looked_up(criticism, lines) for criticism in parsed)


def _looked_up(criticism: Criticism, lines: Sequence[str]) -> Finding:
    quoted = normalise(criticism.quote)
    places = [number for number, line in enumerate(lines, start=1) if quoted and quoted in line]
    line: int | None = None
    citation: Literal["verified", "moved", "invented"] = "invented"
    if criticism.line in places:
        line, citation = criticism.line, "verified"
    elif places:
        line, citation = min(places, key=lambda place: abs(place - criticism.line)), "moved"
    return Finding(line=line, citation=citation, **criticism.model_dump(exclude={"line"}))


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
    """Return a review as a person reads it."""
    grounded = review.grounded
    invented = len(review.findings) - len(grounded)
    lines = [
        f"{review.task} {review.version}: {count(len(grounded), 'finding')}"
        f" by the review prompt {review.reviewer} on {review.model}"
    ]
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in grounded:
        # A small model says one thing of many lines.
        kind = (finding.severity, finding.problem, finding.suggestion)
        alike.setdefault(kind, []).append(finding)
    for (severity, problem, suggestion), found in alike.items():
        lines.append(f"  {review.file}:{found[0].line} [{severity}] {one_line(problem)}")
        lines += [f"    {_cited(finding, found[0])}" for finding in found]
        lines.append(f"    {one_line(suggestion)}")
    if invented:
        left_out = count(invented, "finding")
        lines.append(f"  {left_out} cited words that the file does not have: left out here")
    lines.append("  advice, not a verdict: the gate looks at examples only")
    return "\n".join(lines)


def _cited(finding: Finding, first: Finding) -> str:
    line = "" if finding is first else f"line {finding.line}: "
    moved = " (cited on another line)" if finding.citation == "moved" else ""
    return f"{line}“{one_line(finding.quote)}”{moved}"
