"""`json_fields`: fields of the output, nested ones and lists too, each in its own way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator
from pydantic import Field as Limits

from prompt_hub.repository.schema import FieldPath, JsonObject, Weight
from prompt_hub.scoring.base import (
    TYPE,
    WHOLE,
    ComparedField,
    Complaint,
    PureScorer,
    PureSettings,
    RuleContext,
    scorer_type,
)
from prompt_hub.scoring.comparison import Comparison, Unstated
from prompt_hub.scoring.field_rules import compared_types, dotted_names, field_complaints
from prompt_hub.scoring.fields import Field, FieldsScorer, Lists
from prompt_hub.scoring.text_forms import Case


class FieldRule(Comparison):
    """One output field in a `json_fields` scorer."""

    weight: Weight = 1.0
    """How much it counts beside the other fields."""
    list: Lists = "ordered"
    """Whether the order of a list counts.

    `ordered` counts the longest common subsequence, `set` distinct elements wherever they stand.
    """


def _rule_of_weight(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"weight": value} if is_number else value


@scorer_type(right="fields, nested ones and lists too, each in its own way", place=60)
class FieldsSettings(PureSettings):
    """Fields of the output, each with its weight and comparison; all of them by default."""

    type: Annotated[Literal["json_fields"], TYPE]
    fields: (
        Annotated[
            dict[
                FieldPath,
                Annotated[
                    FieldRule,
                    BeforeValidator(_rule_of_weight, json_schema_input_type=float | FieldRule),
                ],
            ],
            Limits(min_length=1),
        ]
        | None
    ) = None
    """Fields of the output, each with its weight or its rule; all by default."""
    case: Annotated[Case, Unstated] = "fold"
    """Whether upper and lower case are the same in texts of fields that do not say so themselves.
    """
    partial: Annotated[bool, Unstated] = False
    """Whether a right answer may leave fields out that earn and cost nothing then."""

    @classmethod
    def of_equal(cls, names: Iterable[str]) -> FieldsSettings:
        """Score these fields, each with the weight 1 and compared by the defaults."""
        return cls(type="json_fields", fields={name: FieldRule() for name in names})

    def to_file(self) -> JsonObject:
        """Return the settings as metadata have them: a rule that is a weight only is a number."""
        written = super().to_file()
        if self.fields is not None:
            written["fields"] = {name: _as_written(rule) for name, rule in self.fields.items()}
        return written

    def build(self, schema: JsonObject, root: Path | None) -> PureScorer:
        """Prepare the scorer."""
        fields = {
            Field.of(name, rule, rule.list): rule.weight for name, rule in self._rules().items()
        }
        return FieldsScorer(self.type, self.weight, fields, case=self.case, partial=self.partial)

    @property
    def whole(self) -> Set[str]:
        """All of them where no field is named, but that a field may be left out by `partial`."""
        if self.fields is not None:
            return frozenset()
        return WHOLE - {"required"} if self.partial else WHOLE

    def compared(self, names: Iterable[str]) -> Iterator[ComparedField]:
        """Yield the fields that are named, or all that are expected."""
        for name, rule in self._rules().items():
            yield ComparedField(("fields", name), name, rule)
        if self.fields is None:
            how = Comparison.from_settings("text", self)
            yield from (ComparedField((), name, how) for name in names)

    def _rules(self) -> Mapping[str, FieldRule]:
        """Return the rules of the fields, with what this scorer says for all of them."""
        if "case" not in self.model_fields_set:
            return self.fields or {}
        return {
            name: rule.model_copy(update={"case": self.case})
            if rule.compare == "text" and "case" not in rule.model_fields_set
            else rule
            for name, rule in (self.fields or {}).items()
        }

    def complaints(self, context: RuleContext) -> Iterator[Complaint]:
        """Say which fields the output lacks, and which are of no type that suits their rule."""
        if self.fields is None:
            for name in dotted_names(context.prompt.output):
                found = f"no fields, with {name!r} in the output, whose dot leads into an object"
                yield (), found, "a name without a dot, or a scorer of type exact"
        for name, rule in (self.fields or {}).items():
            types = compared_types(rule)
            location = ("fields", name)
            yield from field_complaints(context.prompt, name, location, *types, lists=rule.list)


def _as_written(rule: FieldRule) -> JsonObject | float:
    dumped: JsonObject = rule.model_dump(mode="json", exclude_defaults=True)
    return rule.weight if dumped.keys() <= {"weight"} else dumped
