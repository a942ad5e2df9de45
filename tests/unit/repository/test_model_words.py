"""What is wrong with a key of a file: found and expected, in no library's words."""

from __future__ import annotations

import pytest

from tests.unit.building import RepositoryFolder
from tests.unit.validation.breaking import CANDIDATE, EXAMPLES, METADATA, append, edit, write

THRESHOLD = "threshold: found {}; expected a number from 0 to 1{}"
CASES = {
    "threshold: 80%": THRESHOLD.format("'80%'", ": 0.8"),
    "threshold: 80": THRESHOLD.format("80", ": 0.8 for 80 %"),
    "threshold: '0.8'": THRESHOLD.format("'0.8'", ", without quotes"),
    "threshold: true": THRESHOLD.format("true", ""),
    "threshold: -1": THRESHOLD.format("-1", ""),
    "threshold:": THRESHOLD.format("null", ""),
    "threshold: 0.7\nlimits: {seconds_per_call: 61}": (
        "limits.seconds_per_call: found 61; expected a number above 0 and at most 60"
    ),
    "threshold: 0.7\nlimits: [1, 2]": "limits: found a list of 2; expected a mapping",
    "threshold: 0.7\njudge: {task: A B, version: 1.0.0}": (
        "judge.task: found 'A B'; expected small letters, digits and single hyphens, such as"
    ),
    "threshold: 0.7\njudge: {task: a-b, version: v1}": (
        "judge.version: found 'v1'; expected a version such as 1.2.0"
    ),
    "threshold: 0.7\njudge: {task: a-b, version: 1.2\u0660.0}": (
        "judge.version: found '1.2\u0660.0'; expected a version such as 1.2.0"
    ),
    "threshold: 0.7\njudge: {task: a-b, version: 2026-11-28}": (
        "judge.version: found the date 2026-11-28; expected a text"
    ),
    "threshold: 0.7\njudge: {task: a-b, version: 1.0.0, votes: true}": (
        "judge.votes: found true; expected a whole number from 1 to 15"
    ),
    "threshold: 0.7\noverride: {person: a, reason: short, version: 1.0.0}": (
        "override.reason: found 'short'; expected at least 10 characters"
    ),
}


@pytest.mark.parametrize(("line", "says"), CASES.items())
def test_a_value_is_told_with_what_it_should_be(
    healthy: RepositoryFolder, line: str, says: str
) -> None:
    edit(METADATA, "threshold: 0.7", line)(healthy)
    found = [str(finding.problem) for finding in healthy.findings()]
    assert [problem for problem in found if says in problem], found


def test_a_value_of_one_type_or_another_is_told_once(healthy: RepositoryFolder) -> None:
    edit(METADATA, "records:\n", "records:\n  header_line: first\n")(healthy)
    (finding,) = healthy.findings()
    assert "records.header_line: found 'first'; expected a whole number" in str(finding.problem)
    assert str(finding.problem).endswith(" or 'search'")


def test_what_follows_from_another_problem_is_not_told(healthy: RepositoryFolder) -> None:
    edit(METADATA, "type: json_fields", "type: jsonfields")(healthy)
    (finding,) = healthy.findings()
    assert "scorers.0.type: found 'jsonfields' (did you mean 'json_fields'?)" in str(
        finding.problem
    )


def test_a_misspelt_option_of_a_scorer_is_told_with_those_there_are(
    healthy: RepositoryFolder,
) -> None:
    edit(METADATA, "fields: {part_class: 1.0}", "feilds: {part_class: 1.0}")(healthy)
    problems = [str(finding.problem) for finding in healthy.findings()]
    assert any(
        "the key 'feilds' (did you mean 'fields'?); expected one of: " in problem
        for problem in problems
    ), problems


@pytest.mark.parametrize(
    ("file", "key", "misspelt"),
    [
        (METADATA, "threshold: 0.7", "treshold: 0.7"),
        (METADATA, "owner:", "ownr:"),
        (CANDIDATE, "alias:", "alais:"),
        (EXAMPLES, '"part_class":', '"part_clas":'),
        (EXAMPLES, '"expected":', '"expectd":'),
    ],
)
def test_a_misspelt_key_is_told_once_and_not_also_as_missing(
    healthy: RepositoryFolder, file: str, key: str, misspelt: str
) -> None:
    text = healthy.path(file).read_text("utf-8")
    assert key in text
    healthy.write(file, text.replace(key, misspelt, 1))
    problems = [str(finding.problem) for finding in healthy.findings()]
    assert any("(did you mean " in problem for problem in problems), problems
    assert [problem for problem in problems if "found nothing" in problem] == []


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n"])
def test_an_empty_file_is_called_so(healthy: RepositoryFolder, text: str) -> None:
    write(METADATA, text)(healthy)
    (finding,) = healthy.findings()
    assert str(finding.problem).startswith(
        f"{METADATA}:1:1: found an empty file; expected a mapping with schema, task, owner,"
    )


def test_a_line_of_examples_that_is_none_is_told(healthy: RepositoryFolder) -> None:
    append(EXAMPLES, "null\n")(healthy)
    (finding,) = healthy.findings()
    assert str(finding.problem) == (
        f"{EXAMPLES}:9:1: found null; expected a mapping with id, input, expected"
    )


def test_no_shots_at_all_are_said_by_leaving_the_key_out(healthy: RepositoryFolder) -> None:
    edit(CANDIDATE, "{count: 2}", "{count: 0}")(healthy)
    (finding,) = healthy.findings()
    assert str(finding.problem).endswith(
        "few_shot.count: found 0; expected a whole number from 1 to 64, or no few_shot where no"
        " example is shown"
    )


def test_a_date_in_a_schema_is_told_where_it_stands(healthy: RepositoryFolder) -> None:
    edit(CANDIDATE, "[capacitor, resistor,", "[2026-11-28, resistor,")(healthy)
    (finding,) = healthy.findings()
    line = healthy.read(CANDIDATE).splitlines()[finding.problem.line - 1]
    assert line[finding.problem.column - 1 :].startswith("2026-11-28")
    assert str(finding.problem).endswith(
        "output.properties.part_class.enum.0: found the date 2026-11-28; expected a text in quotes"
    )
