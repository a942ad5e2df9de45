"""Rules about `01-examples`: what a task is measured with."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator

from pydantic import JsonValue

from prompt_hub.repository.contract_words import expected_of, given_words, one_of
from prompt_hub.repository.contracts import (
    Contract,
    SchemaViolation,
    at,
    properties,
    resolve,
    schema_problems,
)
from prompt_hub.repository.documents import Problem, closest
from prompt_hub.repository.examples import FEW
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.many_examples import numbered_facts
from prompt_hub.repository.placeholders import is_placeholder, placeholder_reason
from prompt_hub.repository.schema import JsonObject
from prompt_hub.validation.rules.base import Rule, task_rule
from prompt_hub.validation.tree import TaskFiles


@task_rule("example-id")
def _ids_are_unique(files: TaskFiles) -> Iterator[Problem]:
    """Every example has an id of its own.

    Rename the second one, or delete it if it is the same example twice.
    """
    repeated = _repeated_hashes(files)
    first: dict[str, int] = {}
    for line, example in numbered_facts(files.examples) if repeated else ():
        if hash(example.id) not in repeated:
            continue
        if example.id in first:
            found = f"{example.id!r}, which line {first[example.id]} has already"
            yield files.example_problem(line, ("id",), found, "an id of its own")
        first.setdefault(example.id, line)


def _repeated_hashes(files: TaskFiles) -> set[int]:
    """Return the hashes that several ids have; all ids of a large set would take 150 MB."""
    hashes = array("q", (hash(example.id) for _, example in numbered_facts(files.examples)))
    if len(hashes) <= FEW and len(set(hashes)) == len(hashes):
        return set()
    parts = [array("q") for _ in range(256)]
    for number in hashes:
        parts[number % 256].append(number)
    return {n for part in parts for n, count in Counter(part).items() if count > 1}


@task_rule("example-input")
def _inputs_fit(files: TaskFiles) -> Iterator[Problem]:
    """Every example's input fits the candidate's input schema.

    Correct the example, or allow what it has in the prompt's `input`.
    """
    if files.candidate:
        inputs = ((line, example.input) for line, example in files.examples)
        yield from _fit(files, "input", inputs, files.candidate.content.input)


@task_rule("example-expected")
def _outputs_fit(files: TaskFiles) -> Iterator[Problem]:
    """Every example's expected output fits the candidate's output schema.

    Correct the example, or allow what it expects in the prompt's `output`.
    """
    if files.candidate:
        outputs = ((line, example.expected) for line, example in files.examples)
        yield from _fit(files, "expected", outputs, files.candidate.content.output)


def _fit(
    files: TaskFiles, name: str, values: Iterable[tuple[int, JsonObject]], schema: JsonObject
) -> Iterator[Problem]:
    if schema_problems(schema):
        return  # said by `schema`
    held_to = Contract(schema)
    for line, value in values:
        if held_to.fits(value):
            continue
        violations = list(held_to.violations(value))
        misspelt = {place for violation in violations for place in _meant(schema, violation)}
        for violation in violations:
            yield from _problems_of(files, name, line, value, schema, violation, misspelt)


def _meant(schema: JsonObject, violation: SchemaViolation) -> Iterator[Location]:
    """Yield the places of the fields that unexpected ones are most likely meant to be."""
    if violation.keyword == "additionalProperties":
        declared = _declared(schema, violation.location)
        for unexpected in violation.names:
            if known := closest(unexpected, declared):
                yield (*violation.location, known)


def _problems_of(
    files: TaskFiles,
    name: str,
    line: int,
    value: JsonObject,
    schema: JsonObject,
    violation: SchemaViolation,
    misspelt: set[Location],
) -> Iterator[Problem]:
    """Say in which way an example breaks a schema: a line for each name that is amiss.

    A field that is there under a misspelt name is told by that name alone.
    Keywords that combine schemas have no words of their own: the validator's are shown.
    """
    here = (name, *violation.location)
    contract = "input" if name == "input" else "output"
    if violation.keyword == "required":
        for missing in violation.names:
            if (*violation.location, missing) in misspelt:
                continue
            expected = f"this field, which the {contract} schema requires"
            yield files.example_problem(line, (*here, missing), "nothing", expected)
        return
    if violation.keyword == "additionalProperties":
        declared = _declared(schema, violation.location)
        expected = one_of(declared) if declared else f"no field that the {contract} does not have"
        for unexpected in violation.names:
            found = f"the field {unexpected!r}"
            meant = closest(unexpected, declared)
            document = files.example_lines.document(line)
            yield document.key_problem((*here, unexpected), found, expected, suggestion=meant)
        return
    given = at(value, violation.location)
    meant = ""
    if violation.keyword == "enum" and isinstance(violation.value, list):
        texts = (choice for choice in violation.value if isinstance(choice, str))
        meant = closest(str(given), texts)
    if expected := expected_of(violation.keyword, violation.value):
        yield files.example_problem(line, here, given_words(given), expected, suggestion=meant)
        return
    expected = f"what the {contract} schema allows"
    yield files.example_problem(line, here, violation.message, expected)


def _declared(schema: JsonObject, location: Location) -> list[str]:
    """Return the names of the properties that a schema declares for a place in a value."""
    part: JsonValue = schema
    for step in location:
        part = resolve(part, schema)
        if not isinstance(part, dict):
            return []
        part = properties(part).get(str(step)) if isinstance(step, str) else part.get("items")
    part = resolve(part, schema)
    return list(properties(part)) if isinstance(part, dict) else []


@task_rule("example-eval")
def _something_to_score(files: TaskFiles) -> Iterator[Problem]:
    """At least one example is there to be scored.

    Label some examples `split: eval`, or leave their `split` out.
    """
    expected = "at least one example with split: eval"
    shots = (example.split != "eval" for _, example in numbered_facts(files.examples))
    if files.examples and all(shots):
        yield files.example_problem(1, (), "shots only", expected)
    elif files.no_examples:
        yield files.example_problem(1, (), "no examples", expected)


@task_rule("example-tag")
def _tags_exist(files: TaskFiles) -> Iterator[Problem]:
    """A tag with a minimum score is a tag of some scored example.

    Correct the tag's spelling in the metadata's gate or in the examples.
    """
    if files.metadata is None or not files.examples:
        return
    facts = numbered_facts(files.examples)
    scored = (example for _, example in facts if example.split == "eval")
    tags = {tag for example in scored for tag in example.tags}
    for tag in files.metadata.content.gate.tags:
        if tag not in tags:
            expected = f"one of: {', '.join(sorted(tags))}" if tags else "tags in the examples"
            found = f"the tag {tag!r}, which no scored example has"
            location = ("gate", "tags", tag)
            meant = closest(tag, tags)
            yield files.metadata.key_problem(location, found, expected, suggestion=meant)


@task_rule("placeholder", "warning")
def _nothing_is_left_to_replace(files: TaskFiles) -> Iterator[Problem]:
    """Prompt and examples hold nothing that `prompt-hub new` wrote for people to replace.

    Replace it by what is yours, ids included: promotion refuses it.
    """
    left = ((line, example.id) for line, example in files.examples if is_placeholder(example))
    for line, name in left:
        others = sum(1 for _ in left)
        more = f", and {others} more" if others else ""
        found = f"{name!r}{more}, as `prompt-hub new` wrote {'them' if more else 'it'}"
        yield files.example_problem(line, (), found, "examples of your own")
    if files.candidate and (reason := placeholder_reason(files.candidate.content, ())):
        yield files.candidate.problem(("messages",), reason, "what the model is to do")


TASK_RULES: tuple[Rule[TaskFiles], ...] = (
    _ids_are_unique,
    _inputs_fit,
    _outputs_fit,
    _something_to_score,
    _tags_exist,
    _nothing_is_left_to_replace,
)
