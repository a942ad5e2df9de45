"""Example files read fast are what the strict reader reads, line by line, word by word."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from prompt_hub.core.hashing import sha256_of
from prompt_hub.core.json_strict import strict_json
from prompt_hub.repository.documents import InvalidDocumentsError, Problem, to_model
from prompt_hub.repository.examples import examples_sha256, parse_examples
from prompt_hub.repository.json import json_problems, line_document
from prompt_hub.repository.schema import Example

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["a:b", ":", '":', "{[", "\\u003a", "☃", "\u2028", "NaN", "-0"]
)
NUMBERS = (
    st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from([10**400, "HUGE", 1e308, -0.0, 1e22, 5e-324])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.fixed_dictionaries(
    {
        "id": TEXTS.filter(bool) | VALUES,
        "input": st.dictionaries(TEXTS, VALUES, max_size=4),
        "expected": st.dictionaries(TEXTS, VALUES, max_size=3),
    },
    optional={
        "split": st.sampled_from(["eval", "shot", "Eval", 1]),
        "weight": NUMBERS | st.sampled_from([1, 1.0, 2.5, True, "1"]),
        "tags": st.lists(TEXTS | VALUES, max_size=3),
        "other": VALUES,
    },
)


def written(value: object, twice: str | None) -> str:
    """JSON with big numbers and NaN; the member `twice` of every object is said twice."""
    if isinstance(value, dict):
        members = [f"{json.dumps(name)}: {written(item, twice)}" for name, item in value.items()]
        if twice in value:
            members.append(f"{json.dumps(twice)}: {written(value[twice], None)}")
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(item, twice) for item in value) + "]"
    if value == "HUGE":
        return "-1" + "0" * 4300
    return json.dumps(value, ensure_ascii=False)


LINES = st.builds(
    written, MEMBERS | VALUES, st.none() | st.sampled_from(["id", "input", "a:b", "tags", ""])
) | st.sampled_from(
    [
        '{"id": "a", "input": {}, "expected": {}}',
        '{"id": "a", "input": {"x": "\\ud800"}, "expected": {}}',
        '{"id": "a", "input": {"x": "\\u003a"}, "expected": {}}',
        '{"id": "a", "input": {"x": 1, "x": ":"}, "expected": {}}',
        '{"id": "a", "input": {"x": 1, "x": 2, "y": "\\u003a"}, "expected": {}}',
        '{"id": "a", "input": {"x": 1e999}, "expected": {}}',
        '{"id": "a", "input": {"x": ' + "9" * 4300 + '}, "expected": {}}',
        '{"id": "a", "input": {"x": ' + "9" * 4301 + '}, "expected": {}}',
        '{"id": "a", "input": {}, "expected": {}} {}',
        '{"id": "a", "input": {}, "expected": {}, "expected": {}}',
        '{"id": "a", "input": ' + '{"x": ' * 49 + "1" + "}" * 49 + ', "expected": {}}',
        '{"id": "a", "input": ' + '{"x": ' * 50 + "1" + "}" * 50 + ', "expected": {}}',
        '{"id": "a", "input": {"x": ' + "[" * 48 + "]" * 48 + '}, "expected": {}}',
        '{"id": "a", "input": {"x": ' + "[" * 49 + "]" * 49 + '}, "expected": {}}',
        "\ufeff{}",
        "\x1c",
        " ",
    ]
)


def strictly(text: str) -> tuple[list[tuple[int, Example]], list[Problem]]:
    """Read every line by the strict reader."""
    examples, unfit, unread = [], [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            document = line_document(line, "f.jsonl", number, strict_json(line))
            examples.append((number, to_model(document, Example)))
        except InvalidDocumentsError as error:
            unfit += error.problems
        except ValueError as error:
            unread += json_problems(line, "f.jsonl", number, error)
    return examples, unfit + unread


@given(st.lists(LINES, max_size=4).map("\n".join))
@example("\n")
def test_a_fast_line_is_a_strict_line(text: str) -> None:
    fast, strict = parse_examples(text, "f.jsonl"), strictly(text)
    assert repr(fast) == repr(strict)
    for (_, ours), (_, theirs) in zip(fast[0], strict[0], strict=True):
        assert ours == theirs
        assert ours.model_fields_set == theirs.model_fields_set


@given(st.lists(LINES, max_size=400).map("\n".join))
def test_the_hash_is_that_of_the_whole_list(text: str) -> None:
    examples = [found for _, found in parse_examples(text, "f.jsonl")[0]]
    whole = [found.model_dump(mode="json") for found in examples]
    assert examples_sha256(examples) == sha256_of(whole)
