"""How long loops can get, and which fields exist, is read from the input's schema."""

from __future__ import annotations

import pytest

from prompt_hub.repository.schema import JsonObject
from prompt_hub.repository.templates import read
from prompt_hub.validation.loops import path_faults

STRING: JsonObject = {"type": "string"}
SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "title": STRING,
        "tags": {"type": "array", "maxItems": 10, "items": STRING},
        "endless": {"type": "array", "items": {"$ref": "#/$defs/part"}},
        "parts": {"type": ["array", "null"], "maxItems": 20, "items": {"$ref": "#/$defs/part"}},
        "maybe": {"anyOf": [{"type": "null"}, {"type": "array", "maxItems": 5}]},
        "either": {"anyOf": [{"type": "string"}, {"type": "array", "maxItems": 5}]},
        "open": {"type": "object"},
        "few": {"type": "object", "maxProperties": 5},
        "sizes": {
            "type": "object",
            "additionalProperties": False,
            "patternProperties": {"^mm_": {"type": "number"}},
        },
        "loop": {"$ref": "#/$defs/loop"},
        "tree": {"$ref": "#/$defs/tree"},
    },
    "$defs": {
        "loop": {"$ref": "#/$defs/loop"},
        "tree": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"child": {"$ref": "#/$defs/tree"}},
        },
        "part": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"name": STRING, "codes": {"type": "array", "maxItems": 50}},
        },
    },
}


def faults(template: str) -> list[str]:
    tree = read(template).tree
    assert tree is not None
    assert read(template).faults == []
    return [f"{fault.rule}: {fault.found}" for fault in path_faults(tree, SCHEMA)]


@pytest.mark.parametrize(
    "template",
    [
        "{% for t in tags %}{{ t }}{% endfor %}",
        "{% for t in tags | sort | unique %}{{ t }}{% endfor %}",
        "{% for p in parts %}{{ p.name }}{% for c in p.codes %}{{ c }}{% endfor %}{% endfor %}",
        "{% for p in endless[:30] %}{{ p['name'] }}{% endfor %}",
        "{% for t in maybe | default('') %}x{% endfor %}",
        "{% for t in ['a', title] %}{{ t }}{% endfor %}",
        "{% for k, v in few | items %}{{ k }}{{ v }}{% endfor %}",
        "{% for k, v in (endless | first) | items %}{{ k }}{{ loop.index }}{% endfor %}",
        "{{ open.anything.at.all }} {{ parts[0].name }} {{ (parts | last).codes }}",
        "{{ sizes.mm_wide }} {{ sizes['mm_high'] }}",
    ],
)
def test_what_the_schema_bounds_is_fine(template: str) -> None:
    assert faults(template) == []


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{% for p in endless %}{% endfor %}", "unbounded-loop: a loop over 'endless'"),
        ("{% for p in endless[3:] %}{% endfor %}", "unbounded-loop: a loop over 'endless'"),
        ("{% for p in endless[:-1] %}{% endfor %}", "unbounded-loop: a loop over 'endless'"),
        ("{% for c in title %}{% endfor %}", "unbounded-loop: a loop over 'title'"),
        ("{% for c in either %}{% endfor %}", "unbounded-loop: a loop over 'either'"),
        ("{% for c in nothing %}{% endfor %}", "unbounded-loop: a loop over 'nothing'"),
        ("{% for k, v in open | items %}{% endfor %}", "unbounded-loop: a loop over 'open'"),
        ("{% for c in loop %}{% endfor %}", "unbounded-loop: a loop over 'loop'"),
        (
            "{% for a in parts %}{% for b in parts %}{% for c in parts %}{% for d in parts %}x"
            "{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
            "unbounded-loop: loops that may take",
        ),
        ("{{ parts[0].nmae }}", "undeclared-variable: the field 'nmae' of 'parts'"),
        (
            f"{{{{ tree{'.child' * 60}.nmae }}}}",
            "undeclared-variable: the field 'nmae' of 'tree.child.child",
        ),
        ("{{ title.x }}", "undeclared-variable: the field 'x' of 'title', which is of type"),
        (
            "{% for p in parts %}{{ p.codes.first }}{% endfor %}",
            "undeclared-variable: the field 'first' of 'p.codes', which is of type 'array'",
        ),
    ],
)
def test_what_it_does_not_is_found(template: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(template)), faults(template)
