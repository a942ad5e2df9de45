"""`json_schema`: the output fits a JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from prompt_hub.repository.contracts import (
    is_closed,
    properties,
    resolve,
    schema_problem,
    schema_problems,
)
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring.base import (
    NO_OUTPUT,
    TYPE,
    Complaint,
    GuessWorth,
    PureScorer,
    PureSettings,
    RuleContext,
    ScorerResult,
    constant_worth,
    scorer_type,
)


@scorer_type(right="an output that fits a schema", place=50)
class SchemaSettings(PureSettings):
    """The output fits a JSON Schema: `schema`, or else the prompt's own output schema."""

    type: Annotated[Literal["json_schema"], TYPE]
    schema_: Annotated[JsonObject | None, Field(alias="schema")] = None
    """JSON Schema to hold the output against; the prompt's own by default."""

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Prepare the scorer."""
        own = self.schema_
        return SchemaScorer(self.type, self.weight, schema if own is None else own)

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say what in the schema is no JSON Schema, and what it names that no output has."""
        # Without a schema of its own it is the output's, which the rule `schema` looks at.
        if self.schema_ is not None:
            problems = schema_problems(self.schema_)
            for problem in problems:
                yield ("schema", *problem.location), problem.found, problem.expected
            if not problems:
                output = context.prompt.output
                yield from _unknown_names(self.schema_, output, output, ("schema",))


def _unknown_names(
    schema: JsonValue, output: JsonValue, root: JsonObject, here: Location
) -> Iterator[Complaint]:
    """Yield the properties that a schema names and a closed output cannot have.

    What is asked of such a property is never broken, or always.
    """
    found = resolve(output, root)
    if not isinstance(schema, dict) or not isinstance(found, dict):
        return
    declared = properties(found)
    if is_closed(found):
        known = f"a property of the output: {', '.join(declared) or 'it has none'}"
        required = schema.get("required")
        for index, name in enumerate(required if isinstance(required, list) else ()):
            if name not in declared:
                yield (*here, "required", index), repr(name), known
        for name in properties(schema):
            if name not in declared:
                yield (*here, "properties", name), repr(name), known
    for name, inner in properties(schema).items():
        yield from _unknown_names(inner, declared.get(name), root, (*here, "properties", name))
    yield from _unknown_names(schema.get("items"), found.get("items"), root, (*here, "items"))


@dataclass(frozen=True)
class SchemaScorer(PureScorer):
    """The output fits a schema."""

    schema: JsonObject

    def part(self, output: JsonObject | None, example: Example) -> ScorerResult:
        """Score one answer."""
        problem = NO_OUTPUT if output is None else schema_problem(output, self.schema)
        return ScorerResult(self.name, 0.0 if problem else 1.0, self.weight, problem or "")

    def guess_worth(self, examples: Sequence[Example]) -> GuessWorth:
        """Score a guess once: it is worth the same beside every example."""
        return constant_worth(self, examples)
