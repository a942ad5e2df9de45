"""A promptfoo configuration as a task: what can be carried over, and a list of what cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.authoring.importing.form import (
    THRESHOLD,
    ChatMessage,
    Choices,
    Imported,
    as_file,
    asking_for_json,
    unique_name,
    unusable,
)
from prompt_hub.authoring.importing.notes import Notes
from prompt_hub.authoring.importing.templates import hidden_reason
from prompt_hub.authoring.promptfoo.fitting import fitted
from prompt_hub.authoring.promptfoo.prompts import ImportedPrompt, prompts_of
from prompt_hub.authoring.promptfoo.providers import model_of
from prompt_hub.authoring.promptfoo.reading import Project
from prompt_hub.authoring.promptfoo.scoring import Labelled, Scoring, scoring_of
from prompt_hub.authoring.promptfoo.tests import cases_of
from prompt_hub.authoring.task_files import NewTask
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.foreign_text import one_line
from prompt_hub.repository.schema import Example, JsonObject

_CONFIG_KEYS = {
    "prompts", "providers", "targets", "tests", "defaultTest", "description", "$schema",
    "assertionTemplates", "scenarios",
}  # fmt: skip
_WHY = {
    "nunjucksFilters": "templates here know the built-in filters only",
    "evaluateOptions": "concurrency, repeats and limits are the gate's, in the metadata",
    "commandLineOptions": "they are settings of another program",
    "outputPath": "records go to 04-evals",
    "extensions": "they are code",
    "env": "settings of the environment are not kept in the repository",
    "redteam": "attacks are a scorer of the type injection here",
    "derivedMetrics": "a score is the weighted mean of the scorers",
}


def imported(config: Path, choices: Choices) -> Imported:
    """Import one prompt of a configuration with its tests.

    Raises:
        InvalidDocumentsError: a file of it cannot be read.
        PromptHubError: nothing in it is usable; says why, with everything that was found.
    """
    if config.suffix.lower() not in {".yaml", ".yml", ".json"}:
        raise PromptHubError(
            f"{config.name} is a program or no configuration.",
            hint="Import a promptfooconfig.yaml; `promptfoo eval` prints what a program makes.",
        )
    project, notes = Project(config), Notes()
    for key, node in project.config.items():
        if key not in _CONFIG_KEYS:
            notes.lost(node.place, f"'{key}'", _WHY.get(key, "a task has no such setting here"))
    chosen = _chosen(prompts_of(project, notes), choices.prompt, notes)
    model = model_of(project, notes, alias=choices.alias, default=choices.default_alias)
    cases = cases_of(project, notes)
    scoring = scoring_of(cases, notes, schema=model.schema, parsed=model.parsed)
    if not scoring.labelled:
        raise unusable("no test in it says what the right answer is", notes)
    description = project.config.get("description")
    fit = fitted(scoring.labelled, chosen, notes)
    examples = [*_without_hidden(_examples(fit.labelled, fit.inputs), fit.labelled, notes)]
    if not examples:
        raise unusable("no test of it can be asked here as promptfoo asks it", notes)
    fresh = NewTask(
        task=choices.task,
        owner=choices.owner,
        comment=f"Imported from {config.name} (promptfoo). docs/coming-from-elsewhere.md",
        prompt={
            "description": choices.description
            or (str(description.data) if description else f"Imported: {choices.task}"),
            "model": {"alias": model.alias, "parameters": model.parameters},
            "input": fit.contract,
            "output": scoring.output,
            "messages": _messages(chosen, scoring, notes),
        },
        metadata={
            "threshold": THRESHOLD,
            "scorers": list(scoring.scorers),
            **({"limits": scoring.limits} if scoring.limits else {}),
        },
        examples=examples,
    )
    why = f"a task has one, for the mean over all examples: it is {THRESHOLD}, look it over"
    notes.changed(project.config.place, "the threshold", why)
    return Imported(fresh, notes.all(), model)


def _chosen(prompts: Sequence[ImportedPrompt], number: int | None, notes: Notes) -> ImportedPrompt:
    if not prompts:
        raise unusable("none of its prompts can be carried over", notes)
    if number is not None and not 1 <= number <= len(prompts):
        known = ", ".join(
            f"{index} {one_line(prompt.label, 50)}" for index, prompt in enumerate(prompts, start=1)
        )
        raise PromptHubError(f"there is no prompt {number}.", hint=f"There are: {known}.")
    chosen = (number or 1) - 1
    for index, other in enumerate(prompts):
        if index != chosen:
            why = f"a task has one candidate; take this one with --prompt {index + 1}"
            notes.lost(other.place, f"the prompt {other.label!r}", why)
    return prompts[chosen]


def _messages(prompt: ImportedPrompt, scoring: Scoring, notes: Notes) -> list[JsonValue]:
    """Return the prompt's messages.

    Where it was answered in plain text, asked for a JSON object.
    """
    messages: Sequence[ChatMessage] = prompt.messages
    if scoring.plain:
        messages = asking_for_json(messages, prompt.place, notes)
    return [*as_file(messages)]


def _without_hidden(
    examples: Sequence[Example], labelled: Sequence[Labelled], notes: Notes
) -> Iterator[Example]:
    """Yield the examples that validation takes: without characters that nobody sees."""
    for example, item in zip(examples, labelled, strict=True):
        hidden = hidden_reason(example.input, example.expected, list(example.tags))
        if hidden:
            notes.lost(item.case.place, "a test", hidden)
        else:
            yield example


def _examples(labelled: Sequence[Labelled], inputs: Sequence[JsonObject]) -> list[Example]:
    """Return the labelled tests as examples, named after their descriptions."""
    taken: set[str] = set()
    examples = []
    for number, (item, fields) in enumerate(zip(labelled, inputs, strict=True), start=1):
        words = re.sub(r"[^a-z0-9]+", "-", item.case.description.lower()).strip("-")[:80]
        name = unique_name(words or f"test-{number}", number, taken)
        examples.append(Example(id=name, input=fields, expected=item.expected, tags=item.case.tags))
    return examples
