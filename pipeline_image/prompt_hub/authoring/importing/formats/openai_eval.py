"""A hosted eval of OpenAI: its graders, the rows of its data, and the prompt of a run."""

from __future__ import annotations

import re

from prompt_hub.authoring.importing.documents import Node, broken
from prompt_hub.authoring.importing.form import Draft, Fields, listed, with_question
from prompt_hub.authoring.importing.formats.openai_prompt import OTHERWISE, answer_format
from prompt_hub.authoring.importing.messages import Chat, is_json, response_schema
from prompt_hub.authoring.importing.notes import Notes
from prompt_hub.authoring.importing.reasons import A_JUDGE
from prompt_hub.authoring.importing.rows import Reference, Row, rows_of
from prompt_hub.authoring.importing.templates import from_names

_ANSWER = re.compile(r"\{\{\s*sample\.(?:output_text|output_json\.(?P<field>[A-Za-z_]\w*))\s*\}\}")
_ITEM = re.compile(r"\{\{\s*item\.(?P<name>[A-Za-z_]\w*)\s*\}\}")
_NOT_GRADED = {
    "label_model": A_JUDGE,
    "score_model": A_JUDGE,
    "python": "it is code: a scorer of the type python can call a function of yours",
    "multi": "a score is the weighted mean of the scorers; add each of its graders as one",
}
_WORDS = {
    "ne": "scorers say what is right, not what is wrong",
    "like": "its reference is now the right answer, all of it: stricter than there",
    "ilike": "its reference is now the right answer, all of it: stricter than there",
}
_OF_A_RUN = "it tells how a run went; evaluate the task to have a record of your own"


def evaluation_of(node: Node, notes: Notes) -> tuple[Draft | None, list[Row], list[Reference]]:
    """Return what an eval or a run of one holds: a run's prompt and rows, an eval's graders.

    Raises:
        InvalidDocumentsError: there is none, or the prompt says what ours cannot.
    """
    evaluations = listed(node, notes)
    if not evaluations:
        raise broken(*node.place, "an empty list", "an eval, or a run of one")
    first, *others = evaluations
    for other in others:
        notes.lost(other.place, "another of several", "export it alone to take it")
    if first.get("testing_criteria") is not None:
        return None, [], _references(first, notes)
    return *_run(first, notes), []


def _references(node: Node, notes: Notes) -> list[Reference]:
    """Return what an eval's graders say is right; those that say nothing of it are noted."""
    evaluation = Fields(node, notes)
    for key in ("id", "object"):
        evaluation.text(key)
    criteria = evaluation.take("testing_criteria")
    if (config := evaluation.inner("data_source_config")) is not None:
        kind = config.text("type")
        for key in ("item_schema", "schema", "include_sample_schema"):
            if (schema := config.take(key)) is not None:
                why = "what a row holds is read from the rows"
                notes.changed(schema.place, f"{key!r} of the data source", why)
        if kind not in ("", "custom"):
            why = "logs are no labelled data: download them, and name a file of rows"
            notes.lost(config.node.place, f"the data source {kind!r}", why)
        config.rest("the data source", {}, "rows are a file that is named beside the eval")
    evaluation.rest("the eval")
    found: list[Reference] = []
    for element in criteria.elements() if criteria is not None else ():
        reference = _reference(element, notes)
        if reference is None:
            continue
        compared = {other.field for other in found}
        if compared and (reference.field is None or compared & {reference.field, None}):
            why = "an answer is compared once, and the first grader says with what"
            notes.lost(element.place, "another grader of the answer", why)
            continue
        found.append(reference)
    return found


def _reference(node: Node, notes: Notes) -> Reference | None:
    grader = Fields(node, notes)
    kind, name = grader.text("type"), grader.text("name")
    what = f"the grader {name or kind!r}"
    if kind not in ("string_check", "text_similarity"):
        notes.lost(node.place, what, _NOT_GRADED.get(kind, f"the type {kind!r} is not known here"))
        return None
    answer, reference = grader.text("input"), grader.text("reference")
    operation = grader.text("operation")
    metric, least = grader.take("evaluation_metric"), grader.take("pass_threshold")
    grader.rest("a grader", {}, "a scorer has no such setting")
    if operation == "ne":
        notes.lost(node.place, what, _WORDS["ne"])
        return None
    said, item = _ANSWER.fullmatch(answer.strip()), _ITEM.fullmatch(reference.strip())
    if said is None or (item is None and "{{" in reference):
        why = "it compares something else than the answer, or one of its fields, with one of a row"
        notes.lost(node.place, what, why)
        return None
    if operation in _WORDS:
        notes.changed(node.place, what, _WORDS[operation])
    if metric is not None:
        at_least = f" of at least {least.data}" if least is not None else ""
        why = (
            f"'{metric.data}'{at_least} is not measured: its reference is now the right answer,"
            " but for case and white space; a scorer of the type text has a similarity of edits"
        )
        notes.lost(node.place, what, why)
    return Reference(
        field=said["field"],
        item=item["name"] if item is not None else None,
        constant=reference,
        fold=operation == "ilike" or metric is not None,
    )


def _run(node: Node, notes: Notes) -> tuple[Draft | None, list[Row]]:
    """Return the prompt that a run asked, and the rows that stand in it."""
    run = Fields(node, notes)
    identity = run.text("id")
    for key in ("object", "eval_id"):
        run.text(key)
    source = run.part("data_source")
    run.rest("the run", {}, _OF_A_RUN)
    source.text("type")
    rows = _rows(source.inner("source"), notes)
    asked = source.take("input_messages")
    model = source.text("model")
    settings = source.part("sampling_params")
    draft = None
    if asked is not None:
        chat = Chat(notes, lambda text, place: from_names(text, place, notes, inside="item."))
        messages = Fields(asked, notes)
        messages.text("type")
        template = messages.take("template")
        if template is None:
            found = "'input_messages' without a template"
            raise broken(*asked.place, found, "a template: conversations in rows are no prompt")
        chat.read(template, role="user")
        messages.rest("'input_messages'", {}, OTHERWISE)
        format_ = answer_format(settings)
        draft = Draft(
            name=f"OpenAI eval run {identity}",
            place=node.place,
            messages=with_question(chat.messages, node.place, notes),
            variables=chat.variables,
            model=model,
            parameters=settings.parameters(),
            output=response_schema(format_, notes),
            json=is_json(format_),
        )
    settings.rest("the run's parameters", otherwise=OTHERWISE)
    source.rest("the run's data source", {}, OTHERWISE)
    return draft, rows


def _rows(source: Fields | None, notes: Notes) -> list[Row]:
    if source is None:
        return []
    kind, content = source.text("type"), source.take("content")
    if content is None:
        why = "its rows are elsewhere: download them, and name the file beside this one"
        notes.lost(source.node.place, f"the data source {kind!r}", why)
        source.take("id")
        return []
    source.rest("the data source", {}, OTHERWISE)
    return rows_of(content, notes)
