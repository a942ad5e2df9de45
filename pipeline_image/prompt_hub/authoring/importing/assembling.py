"""A draft and its rows as a task."""

from __future__ import annotations

from collections.abc import Sequence

from prompt_hub.authoring.importing.form import (
    ANSWER,
    THRESHOLD,
    ChatMessage,
    Choices,
    Draft,
    Imported,
    ImportedModel,
    alias_of,
    as_file,
    asking_for_json,
    unusable,
)
from prompt_hub.authoring.importing.notes import Notes
from prompt_hub.authoring.importing.reasons import NO_PROVIDER
from prompt_hub.authoring.importing.rows import Labelled, Reference, Row, labelled, made_up
from prompt_hub.authoring.task_files import NewTask
from prompt_hub.repository.placeholders import PLACEHOLDER_ID
from prompt_hub.repository.schema import Example


def assembled(
    draft: Draft,
    rows: Sequence[Row],
    references: Sequence[Reference],
    choices: Choices,
    notes: Notes,
) -> Imported:
    """Return the task; raises `PromptHubError` where there are rows and none has a right answer."""
    found = labelled(draft, rows, references, notes)
    examples = found.examples
    if rows and not examples:
        raise unusable("no row says what the right answer is", notes)
    for name in draft.samples:
        why = (
            "the rows have values of their own; nothing is filled in by itself here"
            if rows
            else "stands in the made-up example; nothing is filled in by itself here"
        )
        notes.changed(draft.place, f"the value of {name!r}", why)
    if not rows:
        given, answer = made_up(draft)
        examples = (Example(id=f"{PLACEHOLDER_ID}1", input=given, expected=answer),)
        why = "one made-up example stands for yours: label some, or name a file of them beside it"
        notes.lost(draft.place, "no examples", why)
    model = _model(draft, choices, notes)
    fresh = NewTask(
        task=choices.task,
        owner=choices.owner,
        comment=f"Imported from {draft.place[0]} ({draft.name}). docs/coming-from-elsewhere.md",
        prompt={
            "description": choices.description or draft.description or f"Imported: {draft.name}",
            "model": {"alias": model.alias, "parameters": model.parameters},
            "input": found.input,
            "output": found.output,
            "messages": [*as_file(_messages(draft, found, notes))],
        },
        metadata={"threshold": THRESHOLD, "scorers": [found.scorer]},
        examples=examples,
    )
    why = f"a task has one, for the mean over all examples: it is {THRESHOLD}, look it over"
    notes.changed(draft.place, "the threshold", why)
    return Imported(fresh, notes.all(), model)


def _messages(draft: Draft, found: Labelled, notes: Notes) -> Sequence[ChatMessage]:
    if not found.plain:
        return draft.messages
    if draft.json:
        what = "the fields of the JSON answer"
        why = "no schema says which there are: write them into the prompt's 'output'"
        notes.lost(draft.place, what, f"{why}, where {ANSWER!r} stands for them")
        return draft.messages
    why = "answers are JSON here: the text stands in the field 'answer'"
    notes.changed(draft.place, "the answer as plain text", why)
    return asking_for_json(draft.messages, draft.place, notes)


def _model(draft: Draft, choices: Choices, notes: Notes) -> ImportedModel:
    if not draft.model:
        # Who serves it may be known all the same.
        setting = {key: value for key, value in (draft.setting or {}).items() if key != "model"}
        return ImportedModel(choices.alias or choices.default_alias, draft.parameters, setting)
    if draft.setting is None:
        notes.lost(draft.place, f"the provider of {draft.model!r}", NO_PROVIDER)
    alias = choices.alias or alias_of(draft.model)
    return ImportedModel(alias, draft.parameters, draft.setting)
