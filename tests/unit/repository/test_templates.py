"""The template language: what it is made of, and that nothing in it can run away."""

from __future__ import annotations

import time

import pytest
from jinja2 import UndefinedError

from prompt_hub.repository.template_environment import MAX_STEPS
from prompt_hub.repository.template_filters import MAX_RENDERED, RunawayTemplateError
from prompt_hub.repository.templates import read, render_text
from tests.unit.repository.prompts import BIG

FIELDS: dict[str, object] = {
    "title": "  Diode 1 A  ",
    "tags": ["smd", "new", "smd"],
    "part": {"items": 2, "maker": {"name": "KEMET"}},
    "rohs": True,
    "note": None,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ part.items }} {{ part['maker'].name }}", "2 KEMET"),
        ("{{ rohs }} {{ note }}", "true null"),
        ("{{ tags | tojson }}", '["smd", "new", "smd"]'),
        ("{{ tags | unique | sort | join(', ') }}", "new, smd"),
        ("{{ tags | first }}{{ tags | last }}{{ tags | length }}{{ tags[-1] }}", "smdsmd3smd"),
        ("{{ title | trim | upper | truncate(8) }}", "DIODE..."),
        ("{{ title | trim | lower | title | capitalize }}", "Diode 1 a"),
        ("{{ title[2:7] }}", "Diode"),
        ("{{ title | replace('  ', ' ') }}", " Diode 1 A "),
        ("{{ 2.345 | round(1) }}", "2.3"),
        ("{{ nothing | default('none given') }}", "none given"),
        ("{{ note | default('empty', true) }}", "empty"),
        ("{{ nothing if nothing is defined else 'x' }}", "x"),
        ("{% for k, v in part.maker | items %}{{ k }}={{ v }}{% endfor %}", "name=KEMET"),
        (
            "{% for t in tags if t != 'new' %}{{ loop.index }}{{ t }}"
            "{% if not loop.last %}, {% endif %}{% else %}none{% endfor %}",
            "1smd, 2smd",
        ),
        ("{% if 'smd' in tags and rohs is boolean %}yes{% endif %}", "yes"),
        ("{# a note #}{% raw %}{{ braces }}{% endraw %}", "{{ braces }}"),
        ("{{ part.nothing is defined }} {{ nothing.deeper is defined }}", "false false"),
    ],
)
def test_what_a_template_may_say(template: str, text: str) -> None:
    assert read(template).faults == []
    assert render_text(template, FIELDS) == text


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{{ title.upper() }}", "a call"),
        ("{{ ''.__class__ }}", "the attribute '__class__'"),
        ("{{ title ~ title }}", "the operator '~'"),
        ("{{ 'a' * 10**9 }}", "the operator '*'"),
        ("{{ 9 ** 9 ** 9 }}", "the operator '**'"),
        ("{{ '%0999999999d' % 1 }}", "the operator '%'"),
        ("{{ title.ljust(10 ** 9) }}", "a call"),
        ("{% set a = title %}", "{% set %}"),
        ("{% set a %}{{ title }}{% endset %}", "{% set %}"),
        ("{% with a = title %}{% endwith %}", "{% with %}"),
        ("{% macro m() %}{% endmacro %}", "{% macro %}"),
        ("{% import 'os' as os %}", "{% import %}"),
        ("{% from 'x' import y %}", "{% from %}"),
        ("{% include name %}", "an {% include %} that is no building block"),
        ("{% extends 'x' %}", "{% extends %}"),
        ("{% block b %}{% endblock %}", "{% block %}"),
        ("{% filter upper %}x{% endfilter %}", "{% filter %}"),
        ("{% call m() %}{% endcall %}", "{% call %}"),
        ("{% autoescape true %}{% endautoescape %}", "{% autoescape %}"),
        ("{{ {'a': 1} }}", "a mapping"),
        ("{{ self }}", "the name 'self'"),
        ("{% for t in tags recursive %}{% endfor %}", "a recursive loop"),
        ("{% for t in tags %}{{ loop.depth }}{% endfor %}", "'loop.depth'"),
        ("{{ title | center(1000000000) }}", "the filter 'center'"),
        ("{{ title | format }}", "the filter 'format'"),
        ("{{ tags | map('upper') }}", "the filter 'map'"),
        ("{{ title | attr('x') }}", "the filter 'attr'"),
        ("{{ title | replace('a', 'aa') }}", "a replacement that makes a text grow"),
        ("{{ title | replace('', 'a') }}", "a replacement that makes a text grow"),
        ("{{ title | replace(title, 'a') }}", "the arguments of 'replace'"),
        ("{{ tags | join(title) }}", "the arguments of 'join'"),
        ("{{ tags | tojson(indent=99999999) }}", "1 arguments of the filter 'tojson'"),
        ("{{ title[:part.items] }}", "the bounds of a slice"),
        ("{{ title is divisibleby(3) }}", "the test 'divisibleby'"),
        ("{{ title", "braces that are not closed"),
        ("{% for t in tags %}", "a tag that is not closed"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "a template that cannot be read"),
        ("{{ " + "9" * 5000 + " }}", "a template that cannot be read"),
        ("x" * 100_001, "a template of 100001 characters"),
    ],
)
def test_what_a_template_may_not_say_is_found_and_never_compiled(template: str, found: str) -> None:
    faults = read(template).faults
    assert [fault.found for fault in faults if fault.found.startswith(found)], faults
    with pytest.raises(ValueError, match="expected"):
        render_text(template, FIELDS)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ tags }}", "needs 'tojson', 'join' or a loop"),
        ("{{ part }}", "needs 'tojson', 'join' or a loop"),
        ("{{ title.upper }}", "has no attribute 'upper'"),
        ("{{ tags.append }}", "has no attribute 'append'"),
        ("{% for c in title %}{% endfor %}", "a loop goes over a list"),
        ("{% for c in part %}{% endfor %}", "a loop goes over a list"),
        ("{{ title | join(', ') }}", "join takes a list"),
        ("{{ title | sort | join(',') }}", "sort takes a list"),
        ("{{ nothing.deeper }}", "'nothing' is undefined"),
        ("{% for t in nothing %}{% endfor %}", "'nothing' is undefined"),
    ],
)
def test_what_goes_wrong_says_what(template: str, says: str) -> None:
    assert read(template).faults == []
    with pytest.raises(Exception, match=says):
        render_text(template, FIELDS)


@pytest.mark.parametrize(
    "template",
    [
        "{{ text }}{{ text }}",
        "{% for a in many %}{{ text }}{% endfor %}",
        "{% for a in many %}{% for b in many %}{% endfor %}{% endfor %}",
        "{% for a in many %}{% for b in many %}{% for c in many %}x{% endfor %}{% endfor %}"
        "{% endfor %}",
        "{% for a in many %}{{ text | upper | lower | length }}{% endfor %}",
        "{% for a in many %}{% if text == other %}{% endif %}{% endfor %}",
        "{% for a in many %}{% if other in text %}{% endif %}{% endfor %}",
        "{% for a in many %}{% if a in many %}{% endif %}{% endfor %}",
        "{% for a in many %}{% if text[1:] %}{% endif %}{% endfor %}",
        "{% for a in many %}{% if many == many %}{% endif %}{% endfor %}",
        "{% for a in many %}{{ nested | tojson | length }}{% endfor %}",
        "{% for a in many if a in many %}{% endfor %}",
        "{{ many | join('" + "x" * 1_000 + "') }}",
        "{{ text | length }}" * 3_000,
    ],
)
def test_a_runaway_is_cut_off_before_it_costs_time_or_memory(template: str) -> None:
    assert read(template).faults == []
    began = time.process_time()
    with pytest.raises(RunawayTemplateError):
        render_text(template, BIG)
    assert time.process_time() - began < 2.0


def test_what_prompts_need_is_far_from_the_limits() -> None:
    template = "{% for row in rows %}{{ row.name | trim }}: {{ row.value }}\n{% endfor %}"
    rows = [{"name": f"row {number}", "value": number} for number in range(5_000)]
    text = render_text(template, {"rows": rows})
    assert text.count("\n") == 5_000
    assert len(text) < MAX_RENDERED
    assert MAX_STEPS > 5_000


def test_variables_are_those_that_the_template_reads_with_their_lines() -> None:
    reading = read("{{ a.b }}\n{% for c in tags %}{{ c }}{{ title | upper }}\n{% endfor %}{{ c }}")
    assert reading.variables == {"a": 1, "tags": 2, "title": 2, "c": 3}


def test_text_alone_is_written_as_jinja_writes_it() -> None:
    written = "{% raw %}{{ kept }}{% endraw %} and\n{# not this #}the rest\n\n"
    assert render_text(written, {}) == "{{ kept }} and\nthe rest\n"


@pytest.mark.parametrize("loop", ["", "{% for _ in [1] %}{% endfor %}"])
def test_of_two_faults_the_first_is_told(loop: str) -> None:
    template = "{{ value }}" * 2 + "{{ absent }}" + loop
    with pytest.raises(UndefinedError):
        render_text(template, {"value": "x"})
    with pytest.raises(RunawayTemplateError):
        render_text(template, {"value": "x" * MAX_RENDERED})


@pytest.mark.parametrize("pieces", [3, 500])
def test_few_and_many_values_have_the_same_limit(pieces: int) -> None:
    template = "{{ value }}" * pieces
    longest = MAX_RENDERED // pieces
    assert render_text(template, {"value": "x" * longest}) == "x" * (longest * pieces)
    with pytest.raises(RunawayTemplateError):
        render_text(template, {"value": "x" * (longest + 1)})
