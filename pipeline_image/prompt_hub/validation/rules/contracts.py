"""Rules about what a contract says and nothing holds an answer to. They warn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prompt_hub.core.errors import PromptHubError
from prompt_hub.llm.schema_support import (
    OPENAI,
    OPENAI_COMPATIBLE,
    SchemaSupport,
    Treatment,
    is_weak,
    treated_words,
)
from prompt_hub.llm.sent_schema import sent_schema
from prompt_hub.repository.contracts import keywords_in, schema_problems
from prompt_hub.repository.documents import Problem, closest
from prompt_hub.repository.formats import ASSERTED, NOT_ASSERTED
from prompt_hub.repository.json_positions import Location
from prompt_hub.repository.schema import Prompt
from prompt_hub.validation.rules.base import Rule, task_rule
from prompt_hub.validation.tree import Source, TaskFiles


@task_rule("schema-format", "warning")
def _formats_are_asserted(files: TaskFiles) -> Iterator[Problem]:
    """A `format` is one that values are held to, here and by a provider of models.

    Write one that is asserted, or say it with `pattern`; others are notes for people.
    """
    for source in files.people_write:
        for name in ("input", "output"):
            for location, keyword, value in keywords_in(getattr(source.content, name)):
                if keyword != "format" or not isinstance(value, str) or value in ASSERTED:
                    continue
                known = value in NOT_ASSERTED
                found = (
                    f"the format {value!r}, which {'nothing asserts' if known else 'is unknown'}"
                )
                expected = f"one of: {', '.join(sorted(ASSERTED))}"
                meant = "" if known else closest(value, ASSERTED)
                here = (name, *location)
                yield source.problem(here, found, expected, suggestion=meant)


_FATES: Mapping[Treatment, str] = {
    Treatment.IGNORED: "{} ignores",
    Treatment.TOLD: "{} refuses (left out, and told in the description)",
    Treatment.LOOSE: "{} refuses (the whole schema is sent with strict: false)",
}
_EXPECTED = "answers that break it: only the check of each answer refuses those"


@task_rule("schema-provider", "warning")
def _providers_hold_answers_to_it(files: TaskFiles) -> Iterator[Problem]:
    """The output schema uses words that its provider holds answers to (docs/schemas.md).

    Say it in words that the provider keeps, or count on the check of each answer.
    """
    for source in files.people_write:
        if not schema_problems(source.content.output):
            yield from _weak(source, _supports(files, source.content))


def _supports(files: TaskFiles, prompt: Prompt) -> tuple[SchemaSupport, ...]:
    """What is known of the prompt's provider; where no model is configured, of the usual ones."""
    if files.models is not None:
        try:
            return (files.models.resolve(prompt.model.alias).schema_support,)
        except PromptHubError:
            pass  # an alias of another environment
    return (OPENAI, OPENAI_COMPATIBLE)


def _weak(source: Source[Prompt], supports: tuple[SchemaSupport, ...]) -> Iterator[Problem]:
    schema = source.content.output
    fates: dict[tuple[Location, str], dict[Treatment, list[str]]] = {}
    for support in supports:
        loose = False
        for location, keyword, treatment in treated_words(schema, support):
            loose |= treatment is Treatment.LOOSE
            if is_weak(treatment):
                entry = fates.setdefault((location, f"the keyword {keyword!r}"), {})
                entry.setdefault(treatment, []).append(support.name)
        sent = sent_schema(schema, support)
        if sent.reason and not loose:
            entry = fates.setdefault(((), sent.reason), {})
            entry.setdefault(Treatment.LOOSE, []).append(support.name)
    for (location, found), fate in fates.items():
        words = " and ".join(
            _FATES[treatment].format(" and ".join(names)).replace("refuses", "refuse")
            if len(names) > 1
            else _FATES[treatment].format(names[0])
            for treatment, names in fate.items()
        )
        yield source.key_problem(("output", *location), f"{found}, which {words}", _EXPECTED)


TASK_RULES: tuple[Rule[TaskFiles], ...] = (_formats_are_asserted, _providers_hold_answers_to_it)
