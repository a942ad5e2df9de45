"""Lists that an imported prompt loops over: what they hold, and how long they may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from prompt_hub.core.errors import ExitCode
from prompt_hub.repository.contracts import properties
from tests.unit.authoring.workshop import Workshop, prompt_of, take

PICOSCHEMA = "customer:\n      name: string\n      orders(array):\n        title: string"
PICOSCHEMA += "\n        lines(array): string"
DECLARED = """\
inputs:
  - name: customer
    kind: object
    properties:
      - {name: name, kind: string}
      - name: orders
        kind: array
        items:
          kind: object
          properties:
            - {name: title, kind: string}
            - {name: lines, kind: array, items: {kind: string}}
"""
SAMPLE = "customer: {name: Ada, orders: [{title: Tent, lines: [green]}]}"
SAMPLED = f"sample:\n  {SAMPLE}\n"
BOTH = f"inputs:\n  customer: {{type: object}}\n{SAMPLED}"
JINJA = "{% for o in customer.orders %}{{ o.title }}{% for l in o.lines %}{{ l }}{% endfor %}"
JINJA += "{% endfor %}"
MUSTACHE = "{{#customer.orders}}{{{title}}}{{#lines}}{{{.}}}{{/lines}}{{/customer.orders}}"
HANDLEBARS = "{{#each customer.orders}}{{title}}{{#each lines}}{{this}}{{/each}}{{/each}}"


def prompty(front: str, body: str, language: str = "jinja2") -> str:
    return f"---\ntemplate: {language}\n{front}---\nuser:\nHello {body}\n"


def inner(schema: JsonValue, *path: str) -> dict[str, JsonValue]:
    for step in path:
        assert isinstance(schema, dict)
        schema = schema["items"] if step == "[]" else properties(schema)[step]
    assert isinstance(schema, dict)
    return schema


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.prompt", f"---\ninput:\n  schema:\n    {PICOSCHEMA}\n---\n{HANDLEBARS}\n"),
        ("a.prompty", prompty(DECLARED, MUSTACHE, "mustache")),
        ("a.prompty", prompty(SAMPLED, MUSTACHE, "mustache")),
        ("a.prompty", prompty(DECLARED, JINJA)),
        ("a.prompty", prompty(SAMPLED, JINJA)),
        ("a.prompty", prompty(BOTH, JINJA)),
        ("a.prompty", prompty(DECLARED, JINJA.replace("customer.orders", "customer['orders']"))),
        ("a.prompty", prompty(SAMPLED, f"{JINJA}\nassistant:\nYes\nuser:\n{{{{customer.name}}}}")),
    ],
)
def test_a_list_inside_of_a_field_or_an_element_gets_a_bound(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    said = take(workshop, capsys, str(tmp_path / name))
    orders = inner(prompt_of(workshop).input, "customer", "orders")
    assert orders["maxItems"] == inner(orders, "[]", "lines")["maxItems"] == 100
    for path in ("customer.orders", ".lines"):
        why = "holds 100 elements at most: a loop needs a bound, set yours"
        assert any(f"{path}': {why}" in line for line in said), said


def test_a_bound_that_an_inner_list_has_is_kept(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lists = {"type": "array", "maxItems": 3, "items": {"type": "string"}}
    field = {"type": "object", "properties": {"xs": lists}}
    schema = json.dumps({"type": "object", "properties": {"a": field}})
    text = f"---\ninput:\n  schema: {schema}\n---\n{{{{#each a.xs}}}}{{{{this}}}}{{{{/each}}}}\n"
    (tmp_path / "a.prompt").write_text(text, encoding="utf-8")
    said = take(workshop, capsys, str(tmp_path / "a.prompt"))
    assert inner(prompt_of(workshop).input, "a", "xs")["maxItems"] == 3
    assert not [line for line in said if "a loop needs a bound" in line]


@pytest.mark.parametrize(
    ("front", "body"),
    [
        ("inputs:\n  a: {type: object}\n", "{% for x in a.xs %}{{ x }}{% endfor %}"),
        ("inputs:\n  a: {type: string}\n", "{% for x in a %}{{ x }}{% endfor %}"),
        ("", "{% for x in a %}{% for y in x.ys %}{{ y }}{% endfor %}{% endfor %}"),
        ("", "{% for x in a %}{% for y in x %}{{ y }}{% endfor %}{% endfor %}"),
    ],
)
def test_a_loop_over_what_nothing_declares_is_refused_with_its_line(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path, front: str, body: str
) -> None:
    (tmp_path / "a.prompty").write_text(prompty(front, body), encoding="utf-8")
    assert workshop.take("x", str(tmp_path / "a.prompty")) == ExitCode.BLOCKED
    said = capsys.readouterr().err
    assert f"a.prompty:{5 + front.count(chr(10))}:1: found a loop over '" in said
    assert "; expected a field that is declared as an array and" in said


@pytest.mark.parametrize(
    ("sample", "body", "items"),
    [
        (
            "[{id: 1, title: Tents}]",
            "{% for d in documents %}[{{ d.id }}] {{ d.title }}{% endfor %}",
            {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "title": {"type": "string"}},
            },
        ),
        ("[1, 2]", "{{ documents | join(', ') }}", {"type": "integer"}),
        ("[a, 2]", "{{ documents | join(', ') }}", None),
    ],
)
@pytest.mark.parametrize(
    "front",
    [
        "inputs:\n  documents: {type: array}\nsample:\n  documents: SAMPLE\n",
        "inputs:\n  - {name: documents, kind: array, default: SAMPLE}\n",
    ],
)
def test_a_list_without_items_holds_what_its_sample_holds(
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    front: str,
    sample: str,
    body: str,
    items: dict[str, JsonValue] | None,
) -> None:
    text = prompty(front.replace("SAMPLE", sample), body)
    (tmp_path / "a.prompty").write_text(text, encoding="utf-8")
    take(workshop, capsys, str(tmp_path / "a.prompty"))
    assert inner(prompt_of(workshop).input, "documents").get("items") == items


def test_declared_items_count_more_than_a_sample(
    workshop: Workshop, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    front = "inputs:\n  xs: {type: array, items: {type: number}}\nsample:\n  xs: [1]\n"
    (tmp_path / "a.prompty").write_text(prompty(front, "{{ xs | join }}"), encoding="utf-8")
    take(workshop, capsys, str(tmp_path / "a.prompty"))
    assert inner(prompt_of(workshop).input, "xs")["items"] == {"type": "number"}
