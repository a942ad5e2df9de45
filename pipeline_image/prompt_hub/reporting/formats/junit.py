"""An evaluation as JUnit XML: what every CI system shows, annotates and keeps.

A test suite is one arm, a test case one example. What lost something is a failure, what could not
be measured an error. The form keeps to what the schemas of Ant and of Jenkins both accept.
"""

from __future__ import annotations

import json
import re
from datetime import UTC
from typing import assert_never
from xml.etree import ElementTree as Xml

from prompt_hub.reporting import words
from prompt_hub.reporting.answers import Answers, Outcome
from prompt_hub.reporting.evaluation import ArmView, EvaluationView, ExampleView

HELP = "JUnit XML, for CI"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""


def render(view: EvaluationView) -> str:
    """Return the evaluation as one XML document."""
    root = Xml.Element("testsuites")
    for index, arm in enumerate(view.arms):
        root.append(_suite(view, arm, index))
    Xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


def _suite(view: EvaluationView, arm: ArmView, index: int) -> Xml.Element:
    record = view.evaluation.record
    name = f"{record.task}.{arm.name}"
    measured = [
        (example, arm.answers[example.id]) for example in view.examples if example.id in arm.answers
    ]
    outcomes = [answers.outcome for _, answers in measured]
    suite = Xml.Element(
        "testsuite",
        {
            "name": f"{name} {arm.arm.version}",
            "package": record.task,
            "id": str(index),
            "hostname": "localhost",
            "timestamp": f"{record.started_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
            "tests": str(len(measured)),
            "failures": str(outcomes.count(Outcome.WRONG)),
            "errors": str(outcomes.count(Outcome.UNMEASURED)),
            "skipped": "0",
            "time": f"{sum(arm.seconds):.3f}",
        },
    )
    properties = Xml.SubElement(suite, "properties")
    for key, value in _properties(view, arm):
        Xml.SubElement(properties, "property", {"name": key, "value": _xml(value)})
    suite.extend(_case(name, example, answers) for example, answers in measured)
    Xml.SubElement(suite, "system-out").text = _xml("\n".join(words.reasons(record)))
    Xml.SubElement(suite, "system-err")
    return suite


def _properties(view: EvaluationView, arm: ArmView) -> list[tuple[str, str]]:
    record = view.evaluation.record
    found: list[tuple[str, object]] = [
        ("task", record.task),
        ("version", arm.arm.version),
        ("sha256", arm.arm.sha256),
        ("model", arm.arm.model),
        ("score", arm.arm.score),
        ("interval.low", arm.arm.interval[0]),
        ("interval.high", arm.arm.interval[1]),
        ("threshold", record.threshold),
        ("majority_guess", record.baseline),
        ("verdict", record.verdict.status),
        ("usd", arm.arm.usd_paid),
        ("commit", record.commit),
        ("execution", record.execution),
    ]
    return [(key, str(value)) for key, value in found if value is not None]


def _case(name: str, example: ExampleView, answers: Answers) -> Xml.Element:
    case = Xml.Element(
        "testcase",
        {
            "classname": name,
            "name": _xml(example.id),
            "time": f"{sum(call.usage.seconds or 0.0 for call in answers.calls if call.usage):.3f}",
        },
    )
    match answers.outcome:
        case Outcome.RIGHT:
            return case
        case Outcome.UNMEASURED:
            message = "; ".join(answers.errors) or "not measured"
            tag, kind = "error", "not measured"
        case Outcome.WRONG:
            message = "; ".join(answers.losses) or f"score {words.score(answers.score)}"
            tag, kind = "failure", "wrong"
        case _:
            assert_never(answers.outcome)
    problem = Xml.SubElement(case, tag, {"type": kind, "message": _xml(message)})
    problem.text = _xml("\n".join([message, *_facts(example, answers)]))
    return case


def _facts(example: ExampleView, answers: Answers) -> list[str]:
    score = "not measured" if answers.score is None else words.score(answers.score)
    facts = [f"score: {score}"]
    if example.example is not None:
        facts.append(f"input: {json.dumps(example.example.input, ensure_ascii=False)}")
        facts.append(f"expected: {json.dumps(example.example.expected, ensure_ascii=False)}")
    return facts + [f"answer: {call.answer}" for call in answers.calls if call.answer is not None]


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
