"""Where tests stand: in the configuration, in files of every kind, in scenarios."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from benchmarks.parity_promptfoo.configuration import Bare, Configuration, Effect, to_json, to_yaml


@dataclass
class Test:
    """One test before it is written down."""

    key: str
    values: dict[str, object]
    assertions: list[dict[str, object]]
    options: dict[str, object] = field(default_factory=dict)

    def to_entry(self) -> dict[str, object]:
        """Return the test as promptfoo has it."""
        asserted: dict[str, object] = {"assert": self.assertions} if self.assertions else {}
        described = {"description": f"case {self.key}"} if int(self.key[1:]) % 2 else {}
        return {**described, "vars": self.values, **asserted, **self.options}


def put(
    draw: Random,
    found: Configuration,
    config: dict[str, object],
    default: dict[str, object],
    tests: list[Test],
    odd: float,
) -> None:
    """Write the tests into `config` and files, and the default test where one is needed."""
    forms = ["inline"]
    if draw.random() < max(odd, 0.1):
        forms = ["yaml", "json", "csv", "csv", "jsonl", "scenarios", "glob", "vars-file", "mixed"]
    form = draw.choice(forms)
    if draw.random() < odd / 2:
        _defaults(draw, found, default, tests)
    if draw.random() < odd / 2:
        _values_in_files(draw, found, tests)
    if draw.random() < odd / 2:
        _values_of_values(draw, tests)
    if form in {"json", "csv", "jsonl"}:
        for test in tests:
            test.values = {name: _as_data(value) for name, value in test.values.items()}
    entries = [test.to_entry() for test in tests]
    match form:
        case "inline":
            config["tests"] = entries
        case "yaml":
            found.files["tests/all.yaml"] = to_yaml(entries)
            config["tests"] = draw.choice(("file://tests/all.yaml", ["file://tests/all.yaml"]))
        case "json":
            found.files["tests/all.json"] = to_json(entries)
            config["tests"] = "file://tests/all.json"
        case "jsonl":
            found.files["tests/all.jsonl"] = "".join(json.dumps(item) + "\n" for item in entries)
            config["tests"] = "file://tests/all.jsonl"
        case "glob":
            for number, item in enumerate(entries):
                found.files[f"tests/part{number}.yaml"] = to_yaml([item])
            config["tests"] = "file://tests/part*.yaml"
        case "mixed":
            found.files["tests/rest.yaml"] = to_yaml(entries[1:])
            config["tests"] = [entries[0], "file://tests/rest.yaml"]
        case "vars-file":
            for number, item in enumerate(entries):
                found.files[f"vars/{number}.yaml"] = to_yaml(item["vars"])
                item["vars"] = f"file://vars/{number}.yaml"
            config["tests"] = entries
        case "scenarios":
            _scenarios(draw, found, config, tests)
        case _:
            found.files["tests/all.csv"] = _csv(draw, found, tests)
            config["tests"] = draw.choice(("file://tests/all.csv", "tests/all.csv"))
    if default:
        if draw.random() < odd / 3:
            found.files["default.yaml"] = to_yaml(default)
            config["defaultTest"] = "file://default.yaml"
        else:
            config["defaultTest"] = default


def _as_data(value: object) -> object:
    return str(value) if isinstance(value, Bare) else value


def _defaults(
    draw: Random, found: Configuration, default: dict[str, object], tests: list[Test]
) -> None:
    match draw.choice(("vars", "assert", "threshold", "label")):
        case "vars":
            default["vars"] = {"title": "a part", "missing": "told by default"}
            for test in tests:
                if draw.random() < 0.4:
                    test.values.pop("title", None)
        case "assert":
            shared = default.setdefault("assert", [])
            assert isinstance(shared, list)
            extra = draw.choice(
                (
                    {"type": "not-contains", "value": "sorry"}, {"type": "contains", "value": "o"},
                    {"type": "regex", "value": "^[a-z ()0-9]+$"}, {"type": "latency",
                    "threshold": 60000}, {"type": "icontains", "value": "R"},
                    {"type": "contains-any", "value": "o,i"}, {"type": "starts-with", "value": "r"},
                )
            )  # fmt: skip
            shared.append({**extra})
            found.feature((f"'{extra['type']}'",), Effect.VERDICT, Effect.IMPORT)
        case "threshold":
            default["threshold"] = 0.5
            found.feature(("'threshold'",), Effect.VERDICT)
        case _:
            shared = default.setdefault("assert", [])
            assert isinstance(shared, list)
            shared.append({"type": "equals", "value": "{{ label }}"})
            found.feature(("'equals'", "a test"), Effect.VERDICT, Effect.IMPORT)
            for test in tests:
                test.values["label"] = "resistor"


def _values_of_values(draw: Random, tests: list[Test]) -> None:
    """Values that are templates themselves."""
    for test in tests:
        if isinstance(test.values.get("title"), str):
            test.values["title"] = draw.choice(
                ("{{ key }} part", "{{ word }} part", "{{ key | lower }}", "{{ 1 + 1 }}", "{{ key",
                 "{% if key %}yes{% endif %}", "{{ nobody }}", "{# gone #}x", "{{ title }}")
            )  # fmt: skip
            test.values.setdefault("word", "inner {{ key }}")


def _values_in_files(draw: Random, found: Configuration, tests: list[Test]) -> None:
    for number, test in enumerate(tests):
        if draw.random() < 0.5 or "title" not in test.values:
            continue
        suffix, text = draw.choice(
            (
                ("txt", "10k resistor\n"), ("txt", "  two\nlines  \n\n"), ("md", "# A part\n"),
                ("json", '{"value": "10k", "unit": "ohm"}'), ("json", '["a", "b"]'),
                ("yaml", "value: 10k\nunit: 1.0\n"), ("yaml", "- a\n- b\n"), ("csv", "a,b\n1,2\n"),
                ("json", '"a text"'), ("yaml", "just text\n"), ("html", "<b>10k</b>"),
            )
        )  # fmt: skip
        path = f"data/{number}.{suffix}"
        found.files[path] = text
        test.values["title"] = f"file://{path}"
        found.feature((path, "'title'"), Effect.MESSAGES, test=test.key)


def _scenarios(
    draw: Random, found: Configuration, config: dict[str, object], tests: list[Test]
) -> None:
    """Each test's variables as a scenario's configuration, what it asserts in the tests of it."""
    if draw.random() < 0.5:  # All variables, each with all that the first test asserts.
        first = tests[0]
        config["scenarios"] = [
            {
                "description": "all of them",
                "config": [{"vars": test.values} for test in tests],
                "tests": [
                    {"description": "one", "assert": first.assertions, **first.options},
                    {"vars": {"extra": "y"}, "assert": [{"type": "equals", "value": "diode"}]},
                ],
            }
        ]
        found.feature(("'equals'",), Effect.VERDICT)
        found.feature(("'scenarios'",), Effect.TEST, Effect.IMPORT)
        return
    config["scenarios"] = [
        {
            "config": [{"vars": test.values}],
            "tests": [{"vars": {"extra": "x"}, "assert": test.assertions, **test.options}],
        }
        for test in tests
    ]
    found.feature(("'scenarios'",), Effect.TEST, Effect.IMPORT)
    if draw.random() < 0.5:
        config["tests"] = [tests[0].to_entry()]


def _csv(draw: Random, found: Configuration, tests: list[Test]) -> str:
    """Rows of texts; an assertion is written in the short form that promptfoo reads."""
    names = list(dict.fromkeys(name for test in tests for name in test.values))
    many = max(len(test.assertions) for test in tests)
    expected = ["__expected"] if many == 1 else [f"__expected{n + 1}" for n in range(many)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=draw.choice(("\n", "\r\n")))
    extra = draw.choice(("", "", "__metadata:team", "__threshold", "__suffix", "__metric", "free"))
    words = (f"'{extra}'", f"'{extra.removeprefix('__')}'")
    found.feature(words if extra else (), Effect.MESSAGES, Effect.VERDICT)
    last = {"__threshold": "0.5", "": ""}.get(extra, "x")
    writer.writerow([*names, *expected, "__description", *([extra] if extra else [])])
    for test in tests:
        cells = [_cell(test.values.get(name, "")) for name in names]
        short = [_short(assertion) for assertion in test.assertions]
        short += [""] * (many - len(short))
        writer.writerow([*cells, *short, f"case {test.key}", *([last] if extra else [])])
    return out.getvalue()


def _cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(assertion: Mapping[str, object]) -> str:
    kind, value = str(assertion["type"]), assertion.get("value")
    threshold = f"({assertion['threshold']})" if "threshold" in assertion else ""
    text = ",".join(map(str, value)) if isinstance(value, list) else _cell(value)
    if value is None:
        return f"{kind}{threshold}"
    return text if kind == "equals" else f"{kind}{threshold}:{text}"
