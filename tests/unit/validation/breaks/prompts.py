"""Breaks of prompts."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.unit.building import RepositoryFolder
from tests.unit.validation.breaking import (
    CANDIDATE,
    EXAMPLES,
    PRODUCTION,
    Case,
    Fine,
    append,
    edit,
    restamped,
    template,
    with_tags,
    write,
)


def _configure(*aliases: str) -> Callable[[RepositoryFolder], None]:
    """Give aliases a meaning, in the repository's own settings."""
    settings = {"context": {"prompt-hub": {"models": {name: {} for name in aliases}}}}
    return write("cdk.json", json.dumps(settings))


CASES = [
    Case(
        "schema",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {type: text}")),
        CANDIDATE,
        "input.properties.title.type: found",
        at=(14, 19),
    ),
    Case(
        "schema",
        restamped(
            edit(CANDIDATE, "title: {type: string}", "title: {$ref: 'http://example.org/s'}")
        ),
        CANDIDATE,
        "a reference inside this schema",
    ),
    Case(
        "schema",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {type: string, pattern: '('}")),
        CANDIDATE,
        "expected a regular expression",
    ),
    Case(
        "question",
        append(CANDIDATE, "  - {role: assistant, content: Done.}\n"),
        CANDIDATE,
        "found 'assistant'; expected 'user'",
    ),
    Case(
        "template-syntax",
        edit(CANDIDATE, "{{ title }}", "{{ title }"),
        CANDIDATE,
        "messages.1.content: found '}' that closes nothing; expected a field, as in {{ title }}",
        at=(31, 7),
    ),
    Case(
        "undeclared-variable",
        edit(CANDIDATE, "{{ title }}", "{{ titel }} {{ title }}"),
        CANDIDATE,
        "found the variable 'titel' (did you mean 'title'?)",
        at=(31, 17),
    ),
    Case(
        "unused-property",
        restamped(
            edit(
                CANDIDATE,
                "    title: {type: string}",
                "    title: {type: string}\n    colour: {type: string}",
            )
        ),
        CANDIDATE,
        "input.properties.colour: found a property that no message uses",
    ),
    Case(
        "render",
        edit(
            CANDIDATE,
            "{% if manufacturer is defined %}Manufacturer: {{ manufacturer }}{% endif %}",
            "{{ manufacturer }}",
        ),
        EXAMPLES,
        "without the optional manufacturer (and in 7 more examples)",
    ),
    Case(
        "render",
        edit(CANDIDATE, "{{ title }}", "{{ title | round }}"),
        EXAMPLES,
        "the user message of part-class 1.2.0 cannot be rendered",
        at=(1, 35),
    ),
    Case(
        "undeclared-variable",
        append("prompts/00-templates/catalogue-role.txt", "Sold by {{ manufacture }}.\n"),
        "prompts/00-templates/catalogue-role.txt",
        "found the variable 'manufacture' (did you mean 'manufacturer'?)",
        at=(2, 12),
    ),
    Case(
        "template-syntax",
        append("prompts/00-templates/catalogue-role.txt", "\n{% if %}\n"),
        "prompts/00-templates/catalogue-role.txt",
        "expected a Jinja2 template",
        at=(3, 1),
    ),
    Case(
        "template-unsafe",
        edit(CANDIDATE, "{{ title }}", "{{ title.__class__ }}"),
        CANDIDATE,
        "the attribute '__class__'",
    ),
    Case(
        "template-unsafe",
        append("prompts/00-templates/catalogue-role.txt", "{% set a = 1 %}\n"),
        "prompts/00-templates/catalogue-role.txt",
        "{% set %}",
        at=(2, 1),
    ),
    Case(
        "unbounded-loop",
        restamped(with_tags("{type: array, items: {type: string}}")),
        CANDIDATE,
        "a loop over 'tags', whose length nothing bounds",
        at=(34, 34),
    ),
    Case(
        "unbounded-loop",
        restamped(with_tags("{type: array, maxItems: 1000000, items: {type: string}}")),
        CANDIDATE,
        "loops that may take 3000000 steps; expected at most",
    ),
    Case(
        "undeclared-variable",
        restamped(
            with_tags(
                "{type: array, maxItems: 9, items: {type: object, additionalProperties: false,"
                " properties: {name: {type: string}}}}",
                "{{ tag.nmae }}",
            )
        ),
        CANDIDATE,
        "the field 'nmae' of 'tag' (did you mean 'name'?)",
    ),
    Case(
        "schema-keyword",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {type: string, maxLenght: 9}")),
        CANDIDATE,
        "the keyword 'maxLenght', which JSON Schema does not have (did you mean 'maxLength'?)",
        at=(14, 27),
    ),
    Case(
        "schema",
        restamped(
            edit(CANDIDATE, "required: [part_number, title]", "required: [part_nmber, title]")
        ),
        CANDIDATE,
        "'part_nmber', which is not among the properties (did you mean 'part_number'?)",
        also=frozenset({"render"}),
    ),
    Case(
        "model-parameters",
        edit(CANDIDATE, "temperature: 0, ", "temperature: 7, "),
        CANDIDATE,
        "model.parameters.temperature: found 7; expected a number from 0 to 2",
    ),
    Case(
        "model-parameters",
        edit(CANDIDATE, "seed: 7}", "seed: 7.5}"),
        CANDIDATE,
        "model.parameters.seed: found 7.5; expected a whole number",
    ),
    Case(
        "draft-lock",
        lambda folder: folder.write("prompts/00-templates/old.yaml", folder.read(PRODUCTION)),
        "prompts/00-templates/old.yaml",
        "a lock; expected none",
    ),
    Case(
        "few-shot-examples",
        edit(CANDIDATE, "{count: 2}", "{count: 2, examples: [{input: {}, expected: {}}]}"),
        CANDIDATE,
        "few_shot.examples: found 1 example that nobody is shown; expected none",
    ),
]

CASES += [
    Case(
        "model-alias",
        lambda folder: (
            _configure("catalogue-pinned", "catalogue-latest")(folder),
            edit(CANDIDATE, "alias: catalogue-pinned", "alias: catalogue-pined")(folder),
        ),
        CANDIDATE,
        "model.alias: found 'catalogue-pined' (did you mean 'catalogue-pinned'?); expected an alias"
        " of `models` in cdk.json: catalogue-latest, catalogue-pinned",
        at=(6, 10),
    ),
    Case(
        "model-alias",
        lambda folder: (
            _configure("catalogue-latest", "new")(folder),
            edit(CANDIDATE, "alias: catalogue-pinned", "alias: new")(folder),
        ),
        PRODUCTION,
        "found 'catalogue-pinned'",
    ),
]

FINE = [
    # Without settings nobody knows.
    Fine("model-alias", edit(CANDIDATE, "alias: catalogue-pinned", "alias: catalogue-pined")),
    Fine("model-alias", _configure("catalogue-pinned", "catalogue-latest")),
    Fine("model-alias", write("cdk.json", "no JSON: Synth says so")),
    Fine("schema", restamped(edit(CANDIDATE, "title: {type: string}", "title: true"))),
    Fine(
        "schema-keyword",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {type: string, x-unit: mm}")),
    ),
    Fine("question", append(CANDIDATE, "  - {role: user, content: Thanks.}\n")),
    Fine("model-parameters", edit(CANDIDATE, "temperature: 0, ", "temperature: 2.0, ")),
    Fine("template-syntax", template("{{ title }} {% raw %}{{ {% %} }}{% endraw %} }} %}")),
    Fine("template-unsafe", template("{{ (title | trim | upper)[:80] }}")),
    Fine(
        "unbounded-loop",
        restamped(with_tags("{type: array, maxItems: 100, items: {type: string}}")),
    ),
    Fine(
        "undeclared-variable", template("{% for i in ['a', 'b'] %}{{ i }}{{ title }}{% endfor %}")
    ),
    Fine("unused-property", template("{% if title %}x{% endif %}")),
    Fine("render", template("{{ title }}{{ manufacturer | default('') }}")),
    Fine("draft-lock", write("prompts/00-templates/idea.yaml", "just: an idea\nlock: 1\n")),
    Fine("few-shot-examples", edit(CANDIDATE, "few_shot: {count: 2}", "few_shot: {count: 1}")),
]
"""What comes close to a rule, and breaks none."""
