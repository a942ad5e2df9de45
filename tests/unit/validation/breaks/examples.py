"""Breaks of examples."""

from __future__ import annotations

from tests.unit.validation.breaking import (
    EXAMPLES,
    METADATA,
    Case,
    Fine,
    edit,
    example,
    restamped,
    write,
)

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
        'input.part_number: found 4007 is not of type "string"',
        at=(9, 45),
    ),
    Case(
        "example-expected",
        example(expected={"part_class": "rectifier"}),
        EXAMPLES,
        'expected.part_class: found "rectifier" is not one of',
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

FINE = [
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
