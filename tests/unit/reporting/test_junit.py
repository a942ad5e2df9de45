"""JUnit XML: valid for Ant and Jenkins, with every loss in words, whatever texts it holds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

import pytest

from prompt_hub.reporting.answers import Outcome
from prompt_hub.reporting.formats.junit import render as junit_xml
from tests.unit.reporting.evaluations import Builder, view_of
from tests.unit.reporting.history import TASK

if TYPE_CHECKING:
    import xmlschema


@cache
def schema() -> xmlschema.XMLSchema:
    """The schema, built in the worker that needs it; no other imports what reads it."""
    import xmlschema

    return xmlschema.XMLSchema(Path(__file__).parent / "schemas" / "junit.xsd")


def parsed(text: str) -> list[Xml.Element]:
    """The suites of a document, after the schema has accepted it."""
    schema().validate(text)
    return list(Xml.fromstring(text))


def test_a_suite_an_arm_a_case_an_example(evaluated: Builder) -> None:
    built = evaluated()
    view = view_of(built)
    candidate, champion = parsed(junit_xml(view))
    assert candidate.get("name") == f"{TASK}.candidate 1.3.0"
    assert champion.get("name") == f"{TASK}.champion 1.2.0"
    for suite in (candidate, champion):
        cases = suite.findall("testcase")
        assert [case.get("name") for case in cases] == [example.id for example in view.examples]
        assert suite.get("tests") == str(len(cases)) == "48"
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        assert suite.get("errors") == "0"
    assert candidate.get("failures") == str(view.outcomes[Outcome.WRONG])
    properties = {p.get("name"): p.get("value") for p in candidate.findall("properties/property")}
    assert properties["verdict"] == "PASS"
    assert properties["threshold"] == "0.8"
    assert built.record.candidate is not None
    assert properties["score"] == str(built.record.candidate.score)


def test_a_failure_says_the_loss_and_both_sides(evaluated: Builder) -> None:
    view = view_of(evaluated())
    candidate, _ = parsed(junit_xml(view))
    worst = view.worst[0]
    assert worst.candidate is not None
    case = next(c for c in candidate.findall("testcase") if c.get("name") == worst.id)
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "; ".join(worst.candidate.losses)
    assert "expected: {" in (failure.text or "")
    assert "answer: {" in (failure.text or "")


def test_what_was_not_measured_is_an_error_and_no_failure(evaluated: Builder) -> None:
    candidate, _ = parsed(junit_xml(view_of(evaluated(failing=3))))
    assert candidate.get("errors") == "3"
    messages = {error.get("message") for error in candidate.findall("testcase/error")}
    assert messages == {"the model gave no answer: 503 after 5 attempts."}
    properties = {p.get("name"): p.get("value") for p in candidate.findall("properties/property")}
    assert properties["verdict"] == "NOT_MEASURED"
    assert "score" not in properties


def test_hostile_titles_stay_text(evaluated: Builder) -> None:
    view = view_of(evaluated(text=" <b>&amp; ]]> \x00\x1b[31m"))
    candidate, _ = parsed(junit_xml(view))
    message = "".join(failure.text or "" for failure in candidate.iter("failure"))
    assert "<b>&amp; ]]> " in message
    assert "\x00" not in message


@pytest.mark.parametrize("examples", [1, 500])
def test_any_size_is_valid(evaluated: Builder, examples: int) -> None:
    for suite in parsed(junit_xml(view_of(evaluated(examples=examples)))):
        assert suite.get("tests") == str(examples)
