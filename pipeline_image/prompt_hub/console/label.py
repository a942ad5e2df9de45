"""The pages on which people grade. What they post is written into files of the clone alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

from prompt_hub.authoring import labels as grades
from prompt_hub.authoring.labels import Grade, Labels, MeanwhileError, read_labels
from prompt_hub.console import label_queue
from prompt_hub.console.clone import state_of
from prompt_hub.console.known import Known
from prompt_hub.console.label_form import Given, LabelForm
from prompt_hub.console.label_queue import Item, Queue
from prompt_hub.console.pages import LONGEST_NAME, Console, Page, Query, missing
from prompt_hub.core.bounded import Bounded
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.json_strict import strict_json
from prompt_hub.reporting.evaluation import EvaluationView
from prompt_hub.repository.reader import EXAMPLES, no_task
from prompt_hub.repository.schema import TASK_PATTERN, JsonObject, Prompt
from prompt_hub.scoring.scorers.judge import contract_complaints

_QUEUES = 3
"""Queues that are held at once."""


@dataclass(frozen=True, kw_only=True)
class _Desk:
    """All that grading one task needs."""

    task: str
    source: str
    prompt: Prompt
    form: LabelForm
    queue: Queue
    labels: Labels

    def address(self, key: str = "", **more: str) -> str:
        """Return the address of an item; without one that of the next, or of the end."""
        query = {"from": self.source, "item": key, **more}
        given = {name: value for name, value in query.items() if value}
        return f"/label/{quote(self.task)}" + (f"?{urlencode(given)}" if given else "")

    def item(self, key: str) -> Item | None:
        """Return the item of that name."""
        return self.queue.items.get(key) or self.queue.others.get(key)

    def next(self, after: str = "") -> str:
        """Return the address of what is graded next."""
        left = self.queue.left(self.labels, after)
        return self.address(left[0] if left else "")


class Labelling:
    """Grading in the clone of one console."""

    def __init__(self, console: Console, records: Path | None = None) -> None:
        """Show what can be graded in the clone of `console`, `records` of a file among it."""
        self._stage, self._clone = console.stage, console.clone
        self._records = records
        self._queues: Bounded[object, tuple[EvaluationView | None, Queue]] = Bounded(_QUEUES)

    # --- what is asked for ---------------------------------------------------------------------

    def tasks(self, _: Query) -> Page:
        """Return what can be graded, and what was graded and is not in a file yet."""
        return self._tasks()

    def item(self, query: Query, task: str) -> Page:
        """Return one input with the form in which its label is said."""
        try:
            desk = self._desk(query, task)
            key = query.get("item", "")
            if not key and (left := desk.queue.left(desk.labels)):
                # Its name stands in the address, so that the way back leads to it.
                return _see(desk.address(left[0]))
            return self._item(desk, key, query)
        except PromptHubError as error:
            return self._tasks(str(error), 422)

    def answer(self, query: Query, given: Given, task: str) -> Page:
        """Do what a form asks for, and return where to look next."""
        try:
            desk = self._desk(query, task)
            match _first(given, "do"):
                case "grade":
                    return self._grade(desk, query, given)
                case "undo":
                    undone = grades.undo_grade(self._clone.root, task, _serial(given, "serial"))
                    there = desk.item(undone.key) is not None
                    return _see(desk.address(undone.key) if there else "/label")
                case "write":
                    grades.write_examples(self._clone.repository, task, self._grader())
                    return _see("/label")
        except PromptHubError as error:
            return self._tasks(str(error), _status(error))
        return self._tasks("the form asks for nothing that is done here.", 422)

    def _grade(self, desk: _Desk, query: Query, given: Given) -> Page:
        key = query.get("item", "")
        item = desk.item(key)
        if item is None:
            return self._tasks("what was graded is no longer there: nothing was kept.", 409)
        if _first(given, "contract") != desk.form.digest:
            problem = "the output contract changed meanwhile: look at the label again."
            return self._item(desk, key, query, problem=problem, status=409)
        label, problems = desk.form.label(given)
        if problems:
            return self._item(desk, key, query, given=given, problems=problems, status=422)
        try:
            grade = Grade(
                key=key,
                example=item.example.id if item.example else None,
                input=item.input,
                expected=label,
                was=item.example.expected if item.example else None,
                by=self._grader(),
                at=datetime.now(UTC),
            )
            grades.add_grade(self._clone.root, desk.task, grade, seen=_serial(given, "seen"))
        except PromptHubError as error:
            # What was typed stays on the page, whatever keeps it from being kept.
            now, status = self._desk(query, desk.task), _status(error)
            return self._item(now, key, query, given=given, problem=str(error), status=status)
        return _see(self._desk(query, desk.task).next(after=key))

    # --- pages ---------------------------------------------------------------------------------

    def _item(
        self,
        desk: _Desk,
        key: str,
        query: Query,
        *,
        given: Given | None = None,
        problem: str = "",
        problems: Sequence[Mapping[str, str]] = (),
        status: int = 200,
    ) -> Page:
        item = desk.item(key)
        if key and item is None:
            return missing(f"There is nothing to grade called {key} in {desk.task}.")
        queue, labels = desk.queue, desk.labels
        left = queue.left(labels, key)
        taken, as_json = query.get("take", ""), query.get("as") == "json"
        if item is not None and given is None:
            given = desk.form.filled(self._proposal(item, labels, taken), as_json=as_json)
        return Page(
            template="label.html.j2",
            title=f"Label {desk.task}",
            values={
                "desk": desk,
                "task": desk.task,
                "queue": queue,
                "item": item,
                "form": desk.form,
                "given": given or {},
                "here": desk.address(key),
                "skip": next((desk.address(other) for other in left if other != key), None),
                "graded": queue.total - len(left),
                "pending": labels.pending,
                "newest": max(labels.pending, default=0),
                "seen": labels.serial(key),
                "word": labels.last[key][1] if key in labels.last else None,
                "problem": problem,
                "problems": problems,
                "is_judge": not [*contract_complaints(desk.prompt)],
                "readable": _readable,
            },
            status=status,
        )

    @staticmethod
    def _proposal(item: Item, labels: Labels, taken: str) -> JsonObject | None:
        """Return the label that the form begins with."""
        answer = dict(item.answers).get(taken)
        if answer is not None:
            try:
                found = strict_json(answer)
            except ValueError:
                found = None
            if isinstance(found, dict):
                return found
        serial, grade = labels.last.get(item.key, (0, None))
        if grade is not None and serial in labels.pending:
            return grade.expected
        return item.example.expected if item.example else None

    def _tasks(self, problem: str = "", status: int = 200) -> Page:
        if not self._clone.exists:
            return missing(f"{self._clone.root} is no clone of the prompts' repository.")
        problems = [problem] if problem else []
        known: dict[str, Labels] = {}
        for task in self._task_names():
            try:
                known[task] = read_labels(self._clone.root, task)
            except PromptHubError as error:
                known[task] = Labels()
                problems.append(str(error))
        return Page(
            template="labels.html.j2",
            title="Label",
            values={
                "tasks": known,
                "records": self._records.name if self._records else "",
                "problems": problems,
            },
            status=status,
        )

    # --- sources -------------------------------------------------------------------------------

    def _desk(self, query: Query, task: str) -> _Desk:
        repository = self._clone.repository
        if task not in self._task_names():
            raise no_task(task, self._task_names())
        prompt = repository.draft(task)
        source = query.get("from", "")
        form = LabelForm(prompt.output)
        queue = self._queue(prompt, source)
        labels = read_labels(self._clone.root, task)
        return _Desk(task=task, source=source, prompt=prompt, form=form, queue=queue, labels=labels)

    def _task_names(self) -> tuple[str, ...]:
        """Return the tasks, without what no task can be called: pages have commands to copy."""
        names = self._clone.repository.tasks()
        return tuple(name for name in names if re.fullmatch(TASK_PATTERN, name))

    def _queue(self, prompt: Prompt, source: str) -> Queue:
        view = self._view(source)
        examples = state_of(self._clone.repository.path(EXAMPLES, f"{prompt.task}.jsonl"))
        records = state_of(self._records) if self._records else None
        key = (prompt.task, source, prompt.content_sha256, examples, records)
        held = self._queues.get(key)
        if held is None or held[0] is not view:
            held = view, self._made(prompt, source, view)
            self._queues.put(key, held)
        return held[1]

    def _made(self, prompt: Prompt, source: str, view: EvaluationView | None) -> Queue:
        repository, task = self._clone.repository, prompt.task
        examples = [each for _, each in grades.read_example_lines(repository, task)[1]]
        if view is not None and view.evaluation.record.task == task:
            return label_queue.doubts(view, examples)
        if view is not None:
            complaints = [found for found, _ in contract_complaints(prompt)]
            if complaints:
                raise PromptHubError(f"answers cannot be graded as examples of {complaints[0]}.")
            return label_queue.judge_pairs(view, prompt, examples)
        if source and self._records is not None:
            settings = repository.metadata(task).records
            return label_queue.new_records(self._records, settings, prompt, examples)
        return label_queue.every_example(examples)

    def _view(self, source: str) -> EvaluationView | None:
        """Return the evaluation that a source names by the path of its page."""
        if any(len(name) > LONGEST_NAME or not name.isprintable() for name in source.split("/")):
            raise PromptHubError("there is no such source of what is graded.")
        found: Known[EvaluationView]
        match source.split("/"):
            case ["evaluation", task, "version", version]:
                found = self._clone.logged(task, version, wait=True)
            case ["evaluation", task, "execution", execution]:
                results = self._stage.results
                found = self._clone.of_execution(results, task, execution, wait=True)
            case [""]:
                return None
            case ["records"] if self._records is not None:
                return None
            case ["records"]:
                raise PromptHubError("the console was started without --label FILE.")
            case _:
                raise PromptHubError("there is no such source of what is graded.")
        if found.value is None:
            raise PromptHubError(found.problem or "there is no such evaluation.")
        return found.value

    def _grader(self) -> str:
        return grades.grader(self._clone.root)


def _status(error: PromptHubError) -> int:
    return 409 if isinstance(error, MeanwhileError) else 422


def _see(address: str) -> Page:
    return Page(template="", title="", location=address, status=303)


def _first(given: Given, name: str) -> str:
    return next(iter(given.get(name, ())), "")


def _serial(given: Given, name: str) -> int:
    text = _first(given, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _readable(value: object) -> str:
    """Write a value of an input so that people can read it: JSON in a text, too."""
    if isinstance(value, str):
        try:
            inner = strict_json(value)
        except ValueError:
            return value
        value = inner if isinstance(inner, dict | list) else value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
