"""What a generated test asserts, and the answers that the model gives to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random

from benchmarks.parity_promptfoo.generating.schemas import Schema

LABELS = ("resistor", "capacitor", "diode", "transistor", "connector (2 pins)", "IC")

JsonDict = dict[str, object]


@dataclass
class Asserted:
    """The assertions of a test, what a note may name of them, and the model's answer."""

    assertions: list[JsonDict]
    words: list[tuple[str, ...]]
    answer: str
    options: JsonDict = field(default_factory=dict)
    """Other keys of the test: threshold, options, metadata."""


def _quoted(kind: str) -> tuple[str, ...]:
    return (f"'{kind}'",)


def plain(draw: Random, *, odd: float) -> Asserted:
    """Return a test whose answer is a word."""
    label = draw.choice(LABELS)
    kind = "equals" if draw.random() > odd else draw.choice(("icontains", "contains", "iequals"))
    main: JsonDict = {"type": kind, "value": label}
    found = Asserted([main], [_quoted(kind)], _plain_answer(draw, label))
    if draw.random() < odd:
        _decorate(draw, main, found)
    if draw.random() < odd:
        extra, words = _side_check(draw, label)
        found.assertions.insert(draw.randrange(2), extra)
        found.words.append(words)
    if draw.random() < odd / 2:
        if draw.random() < 0.3:
            extra, words = _side_check(draw, label)
            found.assertions[:] = [extra]
            found.words = [words, ("no assertion says",)]
        else:
            _set(draw, found)
    _options(draw, found, odd)
    return found


def _plain_answer(draw: Random, label: str) -> str:
    if draw.random() < 0.55:
        return label
    other = draw.choice(LABELS)
    return draw.choice(
        (
            other, label.upper(), f"{label}.", f" {label} ", f"{label}\n", f"The class is {label}",
            "", f'{{"class": "{label}"}}', label.replace(" ", ""), label.capitalize(),
            f"{label}\u200b", f"`{label}`", f"{label} {other}", "5", "[]", "null",
        )
    )  # fmt: skip


def _side_check(draw: Random, label: str) -> tuple[JsonDict, tuple[str, ...]]:
    kinds: tuple[tuple[str, object], ...] = (
        ("contains", label[:3]), ("icontains", label.upper()), ("not-contains", "cannot"),
        ("not-icontains", "SORRY"), ("not-equals", "unknown"), ("contains-any", [label, "xyz"]),
        ("contains-any", f"{label},xyz"), ("contains-all", [label[:2], label[-2:]]),
        ("contains-all", f"{label[:2]}, {label[-2:]}"), ("icontains-any", ["ZZZ", label.upper()]),
        ("icontains-all", label.upper()), ("starts-with", label[:2]), ("not-starts-with", "The"),
        ("regex", "^[a-z]+$"), ("regex", "[a-z]{3}"), ("regex", f"^{label[:3]}"),
        ("regex", r"^\p{L}+$"), ("regex", "^(?!The)"), ("regex", r"(\w)\1"), ("regex", "(?i)resis"),
        ("not-regex", "[0-9]"), ("javascript", f"output === '{label}'"),
        ("javascript", "output.length < 12"), ("javascript", f"output.includes('{label[:2]}')"),
        ("is-json", None), ("not-is-json", None), ("contains-json", None), ("levenshtein", label),
        ("word-count", 1), ("is-xml", None), ("is-refusal", None), ("not-is-refusal", None),
        ("latency", None), ("cost", None), ("contains-any", []), ("equals", 5), ("equals", label),
        ("equals", {"class": label}), ("ends-with", label[-2:]), ("rouge-n", label),
        ("regex", r"\bres"), ("regex", "a{,3}"), ("regex", r"^\d"), ("contains", ""),
        ("contains", 5), ("starts-with", ""), ("equals", True), ("equals", [label]),
        ("equals", 5.0),
        ("equals", "{{ title }}"), ("contains", "{{ key }}"), ("not-contains", "{{ title }}"),
        ("equals", "{{ title | upper }}"), ("regex", "{{ key }}"), ("javascript", "true"),
        ("equals", "{{ key"), ("icontains", ["a", "b"]), ("contains-any", "a,\"b,c\",d"),
        ("contains-all", [label, 5]), ("is-valid-json", None), ("contains-any", ["", "x"]),
        ("starts-with", 5), ("equals", f" {label}"), ("regex", "/^res/i"), ("regex", "^RES"),
        ("finish-reason", "stop"), ("bleu", label),
    )  # fmt: skip
    kind, value = draw.choice(kinds)
    extra: JsonDict = {"type": kind}
    if value is not None:
        extra["value"] = value
    if kind in {"latency", "cost", "levenshtein", "rouge-n"}:
        extra["threshold"] = {"latency": 60000, "cost": 1, "levenshtein": 2, "rouge-n": 0.5}[kind]
    return extra, _quoted(kind)


def _decorate(draw: Random, assertion: JsonDict, found: Asserted) -> None:
    match draw.choice(("weight", "transform", "metric", "threshold", "weight0", "provider")):
        case "weight":
            assertion["weight"] = draw.choice((2, 0.5, 10))
            found.words.append(("weight",))
        case "weight0":
            assertion["weight"] = 0
            found.words.append(("weight",))
        case "transform":
            assertion["transform"] = draw.choice(
                ("output.trim()", "output.toLowerCase()", "output.length")
            )
            found.words.append(("'transform'",))
        case "metric":
            assertion["metric"] = "accuracy"
        case "threshold":
            assertion["threshold"] = 0.5
            found.words.append(("threshold",))
        case _:
            assertion["provider"] = "openai:chat:judge"


def _set(draw: Random, found: Asserted) -> None:
    group: JsonDict = {"type": "assert-set", "assert": list(found.assertions)}
    if draw.random() < 0.5:
        group["threshold"] = 0.5
    found.assertions[:] = [group]
    found.words.append(("assert-set",))


def _options(draw: Random, found: Asserted, odd: float) -> None:
    if draw.random() > odd / 2:
        return
    key, value, words = draw.choice(
        (
            ("threshold", 0.5, "threshold"),
            ("threshold", 0, "threshold"),
            ("options", {"transform": "output.trim()"}, "'options'"),
            ("options", {"prefix": "Please. ", "suffix": " Thanks."}, "'options'"),
            ("options", {"transformVars": "{...vars, title: 'new'}"}, "'options'"),
            ("metadata", {"tag": "hard", "tags": ["a", "b"]}, "metadata"),
            ("assertScoringFunction", "file://score.js", "'assertScoringFunction'"),
            ("provider", "openai:chat:other", "'provider'"),
        )
    )
    found.options[key] = value
    if key != "metadata":
        found.words.append((words,))


def structured(draw: Random, schema: Schema | None, *, odd: float, shared: bool) -> Asserted:
    """Return a test whose answer is an object; `schema` is asserted of it unless all share it."""
    expected: JsonDict = {"class": draw.choice(LABELS)}
    if draw.random() < 0.7:
        expected["pins"] = draw.choice((2, 3, 8))
    if schema is not None and schema.doubtful and draw.random() < 0.35:
        expected = dict(draw.choice(schema.doubtful))
    elif draw.random() < odd / 2:
        expected |= draw.choice(({"pins": 2.0}, {"pins": None}, {"tags": ["a", "b"]}))
    found = Asserted([], [], _object_answer(draw, expected))
    if schema is not None and schema.doubtful and draw.random() < 0.3:
        found.answer = json.dumps(draw.choice(schema.doubtful))
    if schema is not None and not shared:
        value: object = schema.schema
        if draw.random() < odd / 2:
            value = json.dumps(value)
        found.assertions.append({"type": "is-json", "value": value})
        found.words.append(("'is-json'", "schema"))
    form = draw.random()
    if form < 1 - odd:
        found.assertions.append({"type": "equals", "value": expected})
        found.words.append(_quoted("equals"))
    elif form < 1 - odd / 2:
        found.assertions.append({"type": "equals", "value": json.dumps(expected)})
        found.words.append(_quoted("equals"))
    else:
        code = " && ".join(
            f"output.{name} === {json.dumps(value)}" for name, value in expected.items()
        )
        if draw.random() < 0.5:
            code = code.replace("output.", "JSON.parse(output).")
        found.assertions.append({"type": "javascript", "value": code})
        found.words.append(_quoted("javascript"))
    if draw.random() < odd / 2:
        extra = draw.choice(
            (
                {"type": "contains", "value": "class"}, {"type": "is-json"},
                {"type": "contains-json"}, {"type": "not-contains", "value": "sorry"},
                {"type": "javascript", "value": "output.length < 100"},
                {"type": "regex", "value": "pins"}, {"type": "icontains", "value": "CLASS"},
            )
        )  # fmt: skip
        found.assertions.append({**extra})
        found.words.append(_quoted(str(extra["type"])))
    _options(draw, found, odd)
    return found


def _object_answer(draw: Random, expected: JsonDict) -> str:
    text = json.dumps(expected)
    if draw.random() < 0.5:
        return text
    changed = dict(expected)
    match draw.randrange(8):
        case 0:
            changed["class"] = draw.choice(LABELS)
        case 1:
            changed["reason"] = "as the title says"
        case 2:
            changed["pins"] = float(draw.choice((2, 3, 8)))
        case 3:
            changed["class"] = str(changed.get("class", "")).upper()
        case 4:
            changed.pop("pins", None)
        case 5:
            changed = dict(reversed(changed.items()))
        case 6:
            changed["class"] = f"{changed.get('class', '')} "
        case _:
            return draw.choice(
                (f"```json\n{text}\n```", f"Here: {text}", f"{text}\n", f"  {text}", text[:-1],
                 "resistor", "[]", f"[{text}]", text.replace("}", ",}"), f"{text}{text}", "null",
                 json.dumps(text), json.dumps(expected, indent=2))
            )  # fmt: skip
    return json.dumps(changed)
