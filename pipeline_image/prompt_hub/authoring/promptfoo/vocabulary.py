"""promptfoo's assertion types: how each is carried over, or why it is not. The one place for it."""

from __future__ import annotations

import re
from math import isfinite

from pydantic import JsonValue

from prompt_hub.authoring.importing.javascript import identical, number
from prompt_hub.authoring.importing.reasons import A_JUDGE
from prompt_hub.repository.schema import JsonObject

LABELS = ("equals", "contains", "icontains")
"""What may say, for one test, what the right answer is."""
JSON_CHECKS = ("is-json", "contains-json")
LIMITS = ("cost", "latency")
TEXT_CHECKS = (
    "contains", "icontains", "contains-any", "contains-all", "icontains-any", "icontains-all",
    "starts-with", "regex",
)  # fmt: skip
"""What is asserted of the text of an answer, and can be asked of a right one."""

_EQUALITY = re.compile(
    r"(?P<output>JSON\.parse\(output\)|output)\.(?P<field>[A-Za-z_]\w*)\s*"
    r"(?:===\s*(?P<value>'[^'\\]*'|\"[^\"\\]*\"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|true|false)"
    r"|==\s*(?P<word>'[A-Za-z][^'\\]*'|\"[A-Za-z][^\"\\]*\"))"
)
"""A number with leading zeros is one of base 8 or an error, so it is none here.

To the looser `==`, `1` is `'1'`. Only a text that begins with a letter equals no number, so that
nothing but this text passes.
"""


def stated_fields(code: JsonValue, *, parsed: bool = True) -> JsonObject | None:
    """Return the fields that JavaScript such as `output.colour === 'red' && output.n === 2` states.

    None where the code says anything else, and where it never holds: code of several lines returns
    nothing, and `output.colour` is nothing while the answer is a text.

    Args:
        code: the code.
        parsed: whether promptfoo hands it an answer in JSON as an object.
    """
    found: JsonObject = {}
    lines = str(code).rstrip()
    for part in lines.strip().rstrip(";").split("&&"):
        match = _EQUALITY.fullmatch(part.strip())
        if match is None or "\n" in lines or (match["output"] == "output") is not parsed:
            return None
        stated = _literal(match["value"] or match["word"])
        if stated is None or not identical(found.setdefault(match["field"], stated), stated):
            return None
    return found


def _literal(written: str) -> JsonValue:
    """Return a constant of JavaScript, None for a number that no answer in JSON has."""
    if written[0] in "'\"":
        return written[1:-1]
    if written in ("true", "false"):
        return written == "true"
    value = float(written)
    return number(value) if isfinite(value) else None


_REASONS = {
    A_JUDGE: """
        llm-rubric agent-rubric research-rubric search-rubric video-rubric model-graded-closedqa
        model-graded-factuality factuality g-eval pi answer-relevance context-faithfulness
        context-recall context-relevance conversation-relevance select-best max-score similar
        classifier moderation guardrails is-refusal human similar:cosine similar:dot
        similar:euclidean""",
    "it is code; a scorer of the type python can call a function of yours": """
        javascript python ruby webhook""",
    "prompts here answer with data and call no tools": """
        is-valid-function-call is-valid-openai-function-call is-valid-openai-tools-call
        tool-call-f1 skill-used""",
    "no scorer here measures that; a field is right or it is not": """
        levenshtein rouge-n rouge-s rouge-l bleu gleu meteor perplexity perplexity-score word-count
        finish-reason""",
    "it looks at traces of an agent": """
        trace-span-count trace-span-duration trace-error-spans trajectory:tool-used
        trajectory:tool-args-match trajectory:tool-sequence trajectory:step-count
        trajectory:goal-success""",
    "answers here are JSON": """
        is-html contains-html is-sql contains-sql is-xml contains-xml""",
    "it says something of a right answer, not which it is": " ".join(TEXT_CHECKS),
    "a task has one output schema, and this is another, or none that can be held against answers":
        " ".join(JSON_CHECKS),
}  # fmt: skip
_WHY = {kind: why for why, kinds in _REASONS.items() for kind in kinds.split()}

KNOWN_TYPES = {*LABELS, *LIMITS, *_WHY, "assert-set"}
NOT_CARRIED = _WHY.keys() - {*TEXT_CHECKS, *JSON_CHECKS}
"""Types that say nothing here, whatever their value is."""


def why_not(kind: str) -> str:
    """Why an assertion of this type is not carried over."""
    if kind.startswith("not-"):
        return "scorers say what is right, not what is wrong"
    return _WHY.get(kind, "it is not known here")
