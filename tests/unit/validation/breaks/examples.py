"""Breaks of examples."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.building import RepositoryFolder
from tests.unit.validation.breaking import (
    CANDIDATE,
    EXAMPLES,
    METADATA,
    Case,
    Fine,
    edit,
    example,
    restamped,
    write,
)


def sized(size: object, schema: str) -> Callable[[RepositoryFolder], None]:
    """One more example that has a size, which the output may have."""
    add = example(expected={"part_class": "diode", "size": size})

    def damage(folder: RepositoryFolder) -> None:
        known = "    part_class: {type: string, enum: [capacitor, resistor, diode, transistor]}\n"
        folder.edit(CANDIDATE, known, f"{known}    size: {schema}\n")
        add(folder)

    return damage


CASES = [
    Case(
        "example-id",
        example(id="2N7002"),
        EXAMPLES,
        "'2N7002', which line 4 has already",
        at=(9, 8),
    ),
    Case(
        "example-input",
        example(input={"part_number": 4007, "title": "Rectifier diode"}),
        EXAMPLES,
        "input.part_number: found 4007; expected a text",
        at=(9, 45),
    ),
    Case(
        "example-input",
        example(input={"part_number": "1N4007", "titel": "Rectifier diode"}),
        EXAMPLES,
        "input.titel: found the field 'titel' (did you mean 'title'?); expected one of:"
        " part_number, title, manufacturer",
        at=(9, 55),
        also=frozenset({"render"}),
    ),
    Case(
        "example-input",
        example(input={"part_number": "1N4007"}),
        EXAMPLES,
        "input.title: found nothing; expected this field, which the input schema requires",
        also=frozenset({"render"}),
    ),
    Case(
        "example-input",
        example(input={"part_number": "", "title": "Rectifier diode"}),
        EXAMPLES,
        "input.part_number: found ''; expected a text that is not empty",
    ),
    Case(
        "example-expected",
        example(expected={"part_class": "rectifier"}),
        EXAMPLES,
        "expected.part_class: found 'rectifier'; expected one of: capacitor, resistor, diode,",
    ),
    Case(
        "example-expected",
        sized("1206", "{enum: [0805, 1206]}"),
        EXAMPLES,
        "expected.size: found '1206'; expected one of: \"0805\", 1206",
    ),
    Case(
        "example-expected",
        sized(1206, "{enum: ['0402', '1206']}"),
        EXAMPLES,
        'expected.size: found 1206 (did you mean \'1206\'?); expected one of: "0402", "1206"',
    ),
    Case(
        "example-expected",
        sized("nul", "{enum: [a, null, true]}"),
        EXAMPLES,
        "expected.size: found 'nul'; expected one of: \"a\", null, true",
    ),
    Case(
        "example-eval",
        restamped(
            lambda folder: folder.write(
                EXAMPLES, folder.read(EXAMPLES).replace('"split": "eval"', '"split": "shot"')
            )
        ),
        EXAMPLES,
        "at least one example with split: eval",
    ),
    Case(
        "example-eval",
        write("prompts/01-examples/brand.jsonl", "\n"),
        "prompts/01-examples/brand.jsonl",
        "no examples; expected at least one",
    ),
    Case(
        "example-tag",
        edit(METADATA, "confidence: 0.9}", "confidence: 0.9, tags: {smd: 0.5}}"),
        METADATA,
        "the tag 'smd', which no scored example has",
        at=(11, 45),
    ),
]

CASES += [
    Case(
        "placeholder",
        example(id="replace-me-3"),
        EXAMPLES,
        "'replace-me-3', as `prompt-hub new` wrote it",
        at=(9, 1),
    ),
    Case(
        "placeholder",
        example(input={"part_number": "1N4007", "title": "REPLACE ME 1"}),
        EXAMPLES,
        "expected examples of your own",
    ),
    Case(
        "placeholder",
        edit(CANDIDATE, '"resistor"}.', '"resistor", "size": "REPLACE ME 1"}.'),
        CANDIDATE,
        "the prompt still says 'REPLACE ME'",
    ),
]

FINE = [
    Fine("placeholder", example(input={"part_number": "REPLACE", "title": "Replace me not"})),
    Fine("example-id", example(id="2n7002")),
    Fine("example-input", example(input={"part_number": "1", "title": ""})),
    Fine("example-expected", example(expected={"part_class": "diode"})),
    Fine("example-eval", example(split="shot")),
    Fine(
        "example-tag",
        lambda folder: (
            edit(METADATA, "confidence: 0.9}", "confidence: 0.9, tags: {smd: 0.5}}")(folder),
            example(tags=["smd"])(folder),
        ),
    ),
]
"""What comes close to a rule, and breaks none."""
