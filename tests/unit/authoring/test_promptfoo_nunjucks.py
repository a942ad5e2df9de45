"""What Nunjucks writes, against what the real one wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.authoring.importing import javascript as js
from prompt_hub.authoring.importing.javascript import UnknownMeaningError
from prompt_hub.authoring.promptfoo.nunjucks import MAX_STEPS
from prompt_hub.authoring.promptfoo.templates import to_jinja

RECORDED = json.loads(
    Path(__file__)
    .resolve()
    .parents[2]
    .joinpath("fixtures", "promptfoo", "nunjucks.json")
    .read_text(encoding="utf-8")
)
"""Templates, and what `nunjucks.renderString` of the version named there made of `values`."""


@pytest.mark.parametrize(("template", "written"), RECORDED["written"])
def test_it_writes_what_the_real_one_wrote(template: str, written: str) -> None:
    assert to_jinja(template).there(RECORDED["values"]) == written


@pytest.mark.parametrize(
    "template",
    [
        "{{ range }}",
        "{{ o.constructor }}",
        "{{ a | upper }}",
        "{{ x | join(',') }}",
        "{{ s | sort }}",
        "{% for c in s %}{{ c }}{% endfor %}",
        "{{ a in x }}",
        "{{ 1 < 2 < 3 }}",
        "{{ a == x is defined }}",
        "{{ s.trim }}",
        "{{ t == x is defined }}",
        "{{ a == two }}",
        "{{ two === 2 }}",
        "{{ n == x }}",
        "{{ e == e }}",
        "{{ two < 10 }}",
        "{{ s > m }}",
        "{{ t > 0 }}",
        "{{ -f }}",
        "{{ s[0] }}",
        "{{ o | length }}",
        "{{ x.length }}",
        "{{ f | round }}",
        "{{ s | title }}",
        "{{ s | capitalize }}",
        "{{ s | truncate(5) }}",
        "{{ s | replace('b', '') }}",
        "{{ l | sort }}",
    ],
)
def test_what_it_stops_at_or_is_not_known_is_no_text(template: str) -> None:
    with pytest.raises(UnknownMeaningError):
        to_jinja(template).there(RECORDED["values"])


def test_loops_in_loops_end() -> None:
    nested = "{% for a in l %}" * 3 + "{{ a }}" + "{% endfor %}" * 3
    with pytest.raises(UnknownMeaningError, match="more steps"):
        to_jinja(nested).there({"l": [*range(MAX_STEPS // 1000)]})


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (5.0, "5"), (1.5, "1.5"), (1e-5, "0.00001"), (1e-6, "0.000001"), (1e-7, "1e-7"),
        (1.5e-10, "1.5e-10"), (1e20, "100000000000000000000"), (1e21, "1e+21"),
        (1.25e22, "1.25e+22"), (12345678901234567890, "12345678901234567000"), (-0.0, "0"),
        (0.1 + 0.2, "0.30000000000000004"), (-1.5, "-1.5"), (2**53 + 1, "9007199254740992"),
        (123456789.125, "123456789.125"), (float("inf"), "Infinity"), (float("nan"), "NaN"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_javascript_writes_them(number: float, written: str) -> None:
    assert js.number_text(number) == written
    assert js.text(js.number(number)) == written


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("{{ name }}", False),
        ("a\n{{ name }}\nb", False),
        ("{{ name\n | upper }}", True),
        ("{% if a\n%}x{% endif %}", True),
        ("{# a\nnote #}", True),
    ],
)
def test_a_tag_over_two_lines_turns_a_template_off(text: str, refused: bool) -> None:
    assert ("a tag over several lines" in str(to_jinja(text).problem)) is refused
