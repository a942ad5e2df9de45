"""promptfoo's assertion types: how each is carried over, or why it is not. The one place for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from pydantic import JsonValue

from prompt_hub.repository.schema import JsonObject

LABELS = ("equals", "contains", "icontains")
"""What may say, for one test, what the right answer is."""
JSON_CHECKS = ("is-json", "contains-json")
LIMITS = ("cost", "latency")


def _texts(value: JsonValue) -> list[str]:
    return [str(item) for item in (value if isinstance(value, list) else [value])]


def _somewhere(*alternatives: str, flags: str = "s") -> str:
    """Return a pattern for a whole text that holds one of these somewhere, as scorers match it."""
    return f"(?{flags}).*(?:{'|'.join(alternatives)}).*"


def _of_javascript(pattern: str) -> str:
    """Return a pattern as RE2 reads it: it names groups otherwise than JavaScript."""
    return re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", pattern)


NOT_RE2 = re.compile(r"\(\?<?[=!]|\(\?>|\(\?P=|\\[1-9k]")
"""Look-around, atomic groups and back references: JavaScript has them, RE2 has not."""

PATTERNS: dict[str, Callable[[JsonValue], list[str]]] = {
    "contains": lambda value: [_somewhere(re.escape(str(value)))],
    "icontains": lambda value: [_somewhere(re.escape(str(value)), flags="is")],
    "contains-any": lambda value: [_somewhere(*map(re.escape, _texts(value)))],
    "icontains-any": lambda value: [_somewhere(*map(re.escape, _texts(value)), flags="is")],
    "contains-all": lambda value: [_somewhere(re.escape(text)) for text in _texts(value)],
    "icontains-all": lambda value: [
        _somewhere(re.escape(text), flags="is") for text in _texts(value)
    ],
    "starts-with": lambda value: [f"(?s){re.escape(str(value))}.*"],
    "regex": lambda value: [f"(?s:.*)(?:{_of_javascript(str(value))})(?s:.*)"],
}
"""Patterns of `regex` scorers for what is asserted of every test alike."""

_EQUALITY = re.compile(
    r"(?:JSON\.parse\(output\)|output)\.(?P<field>[A-Za-z_]\w*)\s*={2,3}\s*"
    r"(?P<value>'[^'\\]*'|\"[^\"\\]*\"|-?\d+(?:\.\d+)?|true|false)"
)


def stated_fields(code: JsonValue) -> JsonObject | None:
    """Return the fields that JavaScript such as `output.colour === 'red' && output.n === 2` states.

    None where the code says anything else.
    """
    found: JsonObject = {}
    for part in str(code).strip().rstrip(";").split("&&"):
        match = _EQUALITY.fullmatch(part.strip())
        if match is None:
            return None
        value = match["value"]
        quoted = value[0] in "'\""
        found[match["field"]] = value[1:-1] if quoted else json.loads(value)
    return found


_JUDGED = (
    "a model grades it; write a judge (a prompt with a rubric), name it in the metadata's `judge`"
    " and add a scorer of the type judge"
)
_CODE = "it is code; a scorer of the type python can call a function of yours"
_CALLS = "prompts here answer with data and call no tools"
_TEXT_MEASURE = "no scorer here measures that; a field is right or it is not"
_TRACE = "it looks at traces of an agent"
_MARKUP = "answers here are JSON"

NOT_CARRIED: dict[str, str] = {
    **dict.fromkeys(
        (
            "llm-rubric", "agent-rubric", "research-rubric", "search-rubric", "video-rubric",
            "model-graded-closedqa", "model-graded-factuality", "factuality", "g-eval", "pi",
            "answer-relevance", "context-faithfulness", "context-recall", "context-relevance",
            "conversation-relevance", "select-best", "max-score", "similar", "classifier",
            "moderation", "guardrails", "is-refusal", "human",
        ),
        _JUDGED,
    ),
    **dict.fromkeys(("javascript", "python", "ruby", "webhook"), _CODE),
    **dict.fromkeys(
        (
            "is-valid-function-call", "is-valid-openai-function-call",
            "is-valid-openai-tools-call", "tool-call-f1", "skill-used",
        ),
        _CALLS,
    ),
    **dict.fromkeys(
        (
            "levenshtein", "rouge-n", "rouge-s", "rouge-l", "bleu", "gleu", "meteor", "perplexity",
            "perplexity-score", "word-count", "finish-reason",
        ),
        _TEXT_MEASURE,
    ),
    **dict.fromkeys(
        (
            "trace-span-count", "trace-span-duration", "trace-error-spans", "trajectory:tool-used",
            "trajectory:tool-args-match", "trajectory:tool-sequence", "trajectory:step-count",
            "trajectory:goal-success",
        ),
        _TRACE,
    ),
    **dict.fromkeys(
        ("is-html", "contains-html", "is-sql", "contains-sql", "is-xml", "contains-xml"), _MARKUP
    ),
}  # fmt: skip

KNOWN_TYPES = {*LABELS, *JSON_CHECKS, *LIMITS, *PATTERNS, *NOT_CARRIED}


def why_not(kind: str) -> str:
    """Why an assertion of this type is not carried over."""
    if kind.startswith("not-"):
        return "scorers say what is right, not what is wrong"
    return NOT_CARRIED.get(kind, "it is not known here")
