"""The pages on which people grade. What they post is written into files of the clone alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from prompt_hub.authoring import labels as grades
from prompt_hub.authoring.labels import Grade, Labels, MeanwhileError, read_labels
from prompt_hub.console.clone import state_of
from prompt_hub.console.label_form import JSON, Given, LabelForm, first, read_json
from prompt_hub.console.label_queue import Queue, judge_pairs, known_examples, new_records
from prompt_hub.console.pages import Console, Page, Query, missing, number
from prompt_hub.core.bounded import Bounded
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.foreign_text import shortened
from prompt_hub.core.hashing import canonical
from prompt_hub.reporting.answers import object_in
from prompt_hub.reporting.evaluation import EvaluationView
from prompt_hub.repository.reader import EXAMPLES, no_task
from prompt_hub.repository.schema import Prompt
from prompt_hub.scoring.scorers.judge import contract_complaints

_QUEUES = 3
"""Queues that are held at once."""


class _NotThereError(PromptHubError):
    """What an address names is not there: no task, or no source of what can be graded."""


class _NotKnownError(PromptHubError):
    """What an address names could not be asked for: its source does not answer."""


@dataclass(frozen=True, kw_only=True)
class _Desk:
    """All that grading one task needs."""

    task: str
    source: str
    key: str
    """What lies on it; nothing where the next is asked for."""
    prompt: Prompt
    form: LabelForm
    queue: Queue

    def address(self, key: str, **more: str) -> str:
        """Return the address of an item; of none, that of the next or of the end."""
        query = {"from": self.source, "item": key, **more}
        given = {name: value for name, value in query.items() if value}
        return f"/label/{quote(self.task)}" + (f"?{urlencode(given)}" if given else "")


class Labelling:
    """Grading in the clone of one console."""

    def __init__(self, console: Console, records: Path | None = None) -> None:
        """Show what can be graded in the clone of `console`, `records` of a file among it."""
        self._console, self._clone = console, console.clone
        self._records = records
        self._queues: Bounded[object, tuple[EvaluationView | None, Queue]] = Bounded(_QUEUES)

    def item(self, query: Query, given: Given | None = None, *, task: str) -> Page:
        """Return one input with the form in which its label is said; do what a form asks for."""
        given, root = given or {}, self._clone.root
        try:
            desk = self._desk(query, task)
            match first(given, "do"):
                case "grade":
                    return self._grade(desk, given)
                case "undo":
                    key = grades.undo_grade(root, task, number(first(given, "serial"), 0)).key
                    return _see(desk.address(key) if key in desk.queue.items else "/label")
                case "write":
                    grades.write_examples(self._clone.repository, task, grades.grader(root))
                    return _see("/label")
            if not desk.key and (left := desk.queue.left(read_labels(root, task))):
                # Its name stands in the address, so that the way back leads to it.
                return _see(desk.address(left[0]))
            if desk.key in desk.queue.labelled:
                there = self._of_example(desk)
                return _see(there.address(there.key))
            return self._item(desk, take=query.get("take", ""), as_json=query.get("as") == "json")
        except PromptHubError as error:
            return self.tasks(query, error)

    def _grade(self, desk: _Desk, given: Given) -> Page:
        asked, desk = desk.key, self._of_example(desk)
        root, item = self._clone.root, desk.queue.items.get(desk.key)
        if item is None or first(given, "contract") != desk.form.digest:
            what = "the output contract changed meanwhile: look at the label again."
            # The places of fields are those of another contract; JSON has the fields' names.
            typed = {JSON: given[JSON]} if JSON in given else None
            return self._item(desk, given=typed, error=MeanwhileError(what))
        if item.example and first(given, "about") != item.digest:
            # What was chosen stays on the page, so that the label of now is told here alone.
            label_now = shortened(canonical(item.example.expected).decode("utf-8"), 300)
            is_new = asked != desk.key
            what = f"it became the example {item.example.id}" if is_new else "the example changed"
            what = f"{what} meanwhile, and its label is {label_now} now"
            error = MeanwhileError(f"{what}: look at it again, then save what is right.")
            return self._item(desk, given=given, error=error)
        try:
            label, wrong = desk.form.label(given)
            if wrong:
                said = (f"{each['field'] or 'the label'} {each['problem']}" for each in wrong)
                raise PromptHubError(f"{'; '.join(said)}.")
            grade = Grade(
                key=desk.key,
                example=item.example.id if item.example else None,
                input=item.input,
                expected=label,
                was=item.example.expected if item.example else None,
                by=grades.grader(root),
                at=datetime.now(UTC),
            )
            grades.add_grade(root, desk.task, grade, seen=number(first(given, "seen"), 0))
        except PromptHubError as error:
            # What was typed stays on the page, whatever keeps it from being kept.
            return self._item(desk, given=given, error=error)
        left = desk.queue.left(read_labels(root, desk.task), after=desk.key)
        return _see(desk.address(left[0] if left else ""))

    # --- pages ---------------------------------------------------------------------------------

    def _item(
        self,
        desk: _Desk,
        *,
        given: Given | None = None,
        error: PromptHubError | None = None,
        take: str = "",
        as_json: bool = False,
    ) -> Page:
        item = desk.queue.items.get(desk.key)
        if desk.key and item is None:
            return missing(f"There is nothing to grade called {desk.key} in {desk.task}.")
        labels = read_labels(self._clone.root, desk.task)
        left = desk.queue.left(labels, desk.key)
        seen, word = labels.last.get(desk.key, (0, None))
        if item is not None and given is None:
            known = item.example.expected if item.example else None
            known = word.expected if word and seen in labels.pending else known
            taken = object_in(item.answers[take]) if take in item.answers else None
            given = desk.form.filled(known if taken is None else taken, as_json=as_json)
        return Page(
            template="label.html.j2",
            title=f"Label {desk.task}",
            values={
                "desk": desk,
                "item": item,
                "given": given or {},
                "skip": next((desk.address(key) for key in left if key != desk.key), None),
                "total": len(desk.queue.labelled) + len(desk.queue.order),
                "left": len(left),
                "pending": labels.pending,
                "seen": seen,
                "word": word,
                "problems": [str(error)] if error else [],
                "is_judge": not [*contract_complaints(desk.prompt)],
                "readable": _readable,
            },
            status=_status(error),
        )

    def tasks(self, _: Query, error: PromptHubError | None = None) -> Page:
        """Return what can be graded, and what was graded and is not in a file yet."""
        if not self._clone.exists:
            return missing(f"{self._clone.root} is no clone of the prompts' repository.")
        problems = [str(error)] if error else []
        known: dict[str, Labels] = {}
        for task in self._clone.tasks():
            try:
                known[task] = read_labels(self._clone.root, task)
            except PromptHubError as unreadable:
                known[task] = Labels()
                # An error that led here may be this very one.
                problems += [each for each in [str(unreadable)] if each not in problems]
        records = self._records.name if self._records else ""
        values = {"tasks": known, "records": records, "problems": problems}
        return Page(template="labels.html.j2", title="Label", values=values, status=_status(error))

    # --- sources -------------------------------------------------------------------------------

    def _desk(self, query: Query, task: str) -> _Desk:
        if task not in (known := self._clone.tasks()):
            raise _NotThereError(str(no_task(task, known)))
        prompt, source = self._clone.repository.draft(task), query.get("from", "")
        return _Desk(
            task=task,
            source=source,
            key=query.get("item", ""),
            prompt=prompt,
            form=LabelForm(prompt.output),
            queue=self._queue(task, prompt, source),
        )

    def _of_example(self, desk: _Desk) -> _Desk:
        """Return the desk on which lies, as an example, what became one since it was graded."""
        return replace(desk, key=desk.queue.labelled.get(desk.key, desk.key))

    def _queue(self, task: str, prompt: Prompt, source: str) -> Queue:
        """Return what a source has to be graded: made once, until something of it changes."""
        view = None
        if source not in ("", "records"):
            found = self._console.view_of(source, wait=True)
            if found.value is None:
                error = _NotThereError if found.absent else _NotKnownError
                raise error(found.problem or "there is no such evaluation.")
            view = found.value
        files = (self._clone.repository.path(EXAMPLES, f"{task}.jsonl"), self._records)
        key = (task, source, prompt.content_sha256, *(file and state_of(file) for file in files))
        held = self._queues.get(key)
        if held is None or held[0] is not view:
            held = view, self._made(task, prompt, view, is_records=source == "records")
            self._queues.put(key, held)
        return held[1]

    def _made(
        self, task: str, prompt: Prompt, view: EvaluationView | None, *, is_records: bool
    ) -> Queue:
        repository = self._clone.repository
        examples = [example for _, example in grades.read_example_lines(repository, task)[1]]
        if is_records:
            if self._records is None:
                raise _NotThereError("the console was started without --label FILE.")
            return new_records(self._records, repository.metadata(task).records, prompt, examples)
        if view is None or view.evaluation.record.task == task:
            return known_examples(examples, view)
        for found, _ in contract_complaints(prompt):
            raise PromptHubError(f"answers cannot be graded as examples of {found}.")
        return judge_pairs(view, prompt, examples)


def _status(error: PromptHubError | None) -> int:
    match error:
        case None:
            return 200
        case _NotThereError():
            return 404
        case _NotKnownError():
            return 502
        case MeanwhileError():
            return 409
        case _:
            return 422


def _see(address: str) -> Page:
    return Page(template="", title="", location=address, status=303)


def _readable(value: object) -> str:
    """Write a value of an input so that people can read it: JSON in a text, too."""
    try:
        inner = read_json(value) if isinstance(value, str) else value
    except ValueError:
        inner = value
    if isinstance(value, str) and not isinstance(inner, dict | list):
        return value
    return json.dumps(inner, ensure_ascii=False, indent=2)
