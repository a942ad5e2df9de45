"""Labels that people give: kept at once, and made a change of `01-examples` when they say so.

A grade is a line of `.prompt-hub/labels/TASK.jsonl` in the clone, which git does not see and which
is only ever appended to, so that nothing is lost with a process. `write_examples` makes grades a
change of the task's example file, which whoever graded looks at and commits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from prompt_hub.authoring.task_files import examples_path, findings_about, jsonl
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.git import run_git
from prompt_hub.core.hashing import canonical, sha256_of
from prompt_hub.core.json_log import JsonLinesLog, json_line
from prompt_hub.repository.documents import InvalidDocumentsError, read_bytes, read_text
from prompt_hub.repository.example_sets import reference_in
from prompt_hub.repository.examples import parse_examples
from prompt_hub.repository.reader import PromptRepository, path_inside
from prompt_hub.repository.schema import Example, JsonObject, Moment, Strict
from prompt_hub.repository.transaction import exclusive

LABELS_DIR = Path(".prompt-hub") / "labels"
_TITLE = "prompt-hub/labels@1"


class MeanwhileError(PromptHubError):
    """What a person saw when deciding is no longer so."""


class Grade(Strict):
    """What a person says the right answer to an input is."""

    key: str
    """What was graded: an example of the file, or an input that is none."""
    example: str | None
    """Id of the example whose label this is; None for a new one."""
    input: JsonObject
    """What was asked."""
    expected: JsonObject
    """The right answer."""
    was: JsonObject | None
    """The label that the example had; None for a new one."""
    by: str
    """Who graded, as git knows them."""
    at: Moment
    """When."""


class Written(Strict):
    """Grades that became a change of the example file."""

    serials: tuple[int, ...]
    """Which."""
    corrected: int
    """Examples with another label than before."""
    added: int
    """New examples."""
    confirmed: int
    """Grades that said what the file says."""
    by: str
    """Who had them written."""
    at: Moment
    """When."""


class _Line(Strict):
    """One line of the file: exactly one of these happened."""

    grade: Grade | None = None
    undone: int | None = None
    written: Written | None = None


@dataclass(frozen=True)
class Labels:
    """What the grades of a task come to. A grade's serial is the number of its line."""

    last: Mapping[str, tuple[int, Grade]] = field(default_factory=dict)
    """The last word on each key, written or not."""
    pending: Mapping[int, Grade] = field(default_factory=dict)
    """What is not in the example file yet, the oldest first."""
    written: Written | None = None
    """What became of grades last."""

    def serial(self, key: str) -> int:
        """Return the serial of the last word on a key, 0 where there is none."""
        return self.last[key][0] if key in self.last else 0


def key_of(example: Example) -> str:
    """Return what an example is graded under."""
    return f"example:{example.id}"


def key_of_input(fields: JsonObject) -> str:
    """Return what an input is graded under that is no example."""
    return f"input:{sha256_of(fields)}"


def grader(root: Path) -> str:
    """Return who grades in the clone: whom a commit would be by."""
    done = run_git(root, "-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT")
    if done.returncode != 0:
        raise PromptHubError(
            "git does not know who grades.",
            hint='Say it: git config user.name "…" and git config user.email "…".',
        )
    # Behind the address stand a time and its zone.
    return done.stdout.decode("utf-8", "replace").rsplit(" ", 2)[0]


# --- Grades ------------------------------------------------------------------------------------


def read_labels(root: Path, task: str) -> Labels:
    """Return the grades of a task; raises `PromptHubError` for a line that cannot be read."""
    path = _file(root, task)
    if not path.exists():
        return Labels()
    # A last line without an end is being written, or was when its process died.
    lines = read_bytes(path, _name(task)).split(b"\n")[1:-1]
    graded: dict[int, Grade] = {}
    done: set[int] = set()
    written = None
    for number, text in enumerate(lines, start=2):
        if not text.strip():
            continue
        try:
            line = _Line.model_validate_json(text)
        except ValidationError:
            raise PromptHubError(
                f"{_name(task)}:{number} is no grade.",
                # Deleted, it would give every line below it the serial of another grade.
                hint="Mend the line, or leave it empty: the others are known by their numbers.",
            ) from None
        if line.grade is not None:
            graded[number] = line.grade
        elif line.undone is not None:
            graded.pop(line.undone, None)
        elif line.written is not None:
            written = line.written
            done.update(written.serials)
    last = {grade.key: (serial, grade) for serial, grade in graded.items()}
    pending = {serial: grade for serial, grade in graded.items() if serial not in done}
    return Labels(last, pending, written)


def add_grade(root: Path, task: str, grade: Grade, *, seen: int) -> None:
    """Keep a grade; once more the same one is none.

    Raises:
        MeanwhileError: somebody graded it since `seen`, the serial of the last word that whoever
            grades now has seen, and otherwise.
    """
    with exclusive(root):
        labels = read_labels(root, task)
        if labels.serial(grade.key) != seen:
            _, other = labels.last.get(grade.key, (0, None))
            if other is not None and _same(other.expected, grade.expected):
                return
            what = f"{other.by} graded it meanwhile" if other else "its grade was taken back"
            raise MeanwhileError(f"{what}: look at it again, then save what is right.")
        _append(root, task, {"grade": grade.model_dump(mode="json")})


def undo_grade(root: Path, task: str, serial: int) -> Grade:
    """Take back a grade that is not written yet, and return it."""
    with exclusive(root):
        grade = read_labels(root, task).pending.get(serial)
        if grade is None:
            raise MeanwhileError("this grade is written or taken back already.")
        _append(root, task, {"undone": serial})
        return grade


def _append(root: Path, task: str, line: object) -> None:
    log = JsonLinesLog(_file(root, task))
    try:
        log.begin(json_line({"schema": _TITLE, "task": task}))
        log.append(json_line(line))
    finally:
        log.close()


def _file(root: Path, task: str) -> Path:
    path = root / _name(task)
    # A clone of somebody else's may hold links: nothing is written through one.
    if path_inside(root, _name(task)) != root.resolve() / _name(task):
        raise PromptHubError(f"{_name(task)} is behind a symbolic link.", hint="Remove the link.")
    return path


def _name(task: str) -> str:
    return (LABELS_DIR / f"{task}.jsonl").as_posix()


# --- The file for git --------------------------------------------------------------------------


def read_example_lines(
    repository: PromptRepository, task: str
) -> tuple[str, list[tuple[int, Example]]]:
    """Return the text of a task's example file, and its examples with their lines.

    Raises:
        PromptHubError: grades could not be written into that file.
    """
    file = examples_path(task)
    if problem := repository.link_problem():
        raise InvalidDocumentsError([problem])
    if path_inside(repository.root, file) != repository.root / file:
        raise PromptHubError(f"{file} is behind a symbolic link.", hint="Remove the link.")
    text = read_text(repository.root / file, file)
    if reference_in(text.encode("utf-8"), file) is not None:
        raise PromptHubError(
            f"{file} names a set that lies in S3, which is not changed here.",
            hint="Change the set's own file, and push it: prompt-hub examples push.",
            exit_code=ExitCode.BLOCKED,
        )
    examples, problems = parse_examples(text, file)
    if problems:
        raise InvalidDocumentsError(problems)
    return text, examples


class _Change:
    """The example file of a task, and what grades make of it."""

    def __init__(self, repository: PromptRepository, task: str) -> None:
        self.file = examples_path(task)
        self.text, examples = read_example_lines(repository, task)
        self._by_id = {example.id: (line, example) for line, example in examples}
        self._by_input = {sha256_of(example.input): example for _, example in examples}
        self._lines = self.text.split("\n")
        self._new: list[Example] = []
        self.corrected = self.confirmed = 0

    def take(self, grade: Grade) -> bool:
        """Take over a grade; whether the file is still as the grade saw it."""
        digest = sha256_of(grade.input)
        if grade.example is None:
            known = self._by_input.get(digest)
            if known is None:
                name = self._free_id(digest)
                new = Example(id=name, input=grade.input, expected=grade.expected)
                self._new.append(new)
                return True
            self.confirmed += _same(known.expected, grade.expected)
            return _same(known.expected, grade.expected)
        if grade.example not in self._by_id:
            return False
        line, example = self._by_id[grade.example]
        if _same(example.expected, grade.expected):
            self.confirmed += 1
            return True
        if sha256_of(example.input) != digest or not _same(example.expected, grade.was):
            return False
        self.corrected += 1
        self._lines[line - 1] = _relabelled(self._lines[line - 1], grade.expected)
        return True

    def _free_id(self, digest: str) -> str:
        """Return an id by an input; somebody may have changed the input that has the usual one."""
        taken = self._by_id.keys() | {example.id for example in self._new}
        return next(
            name
            for length in range(12, len(digest) + 1)
            if (name := f"label-{digest[:length]}") not in taken
        )

    @property
    def added(self) -> int:
        """How many new examples there are."""
        return len(self._new)

    @property
    def changed_text(self) -> str:
        """The file with what was taken over; every other line is as it was, to the byte."""
        text = "\n".join(self._lines)
        between = "\n" if self._new and text and not text.endswith("\n") else ""
        return text + between + jsonl(self._new)


def write_examples(repository: PromptRepository, task: str, by: str) -> Written:
    """Make the grades a change of the task's example file, whole or not at all.

    A grade whose example is no longer as it was when it was graded stays behind.

    Raises:
        PromptHubError: there is nothing to write, or the file would not be valid.
    """
    root = repository.root
    with exclusive(root) as writer:
        labels = read_labels(root, task)
        change = _Change(repository, task)
        newest = {grade.key: grade for grade in labels.pending.values()}
        taken = {key for key, grade in newest.items() if change.take(grade)}
        if not taken:
            _nothing_to_write(task, len(newest))
        text = change.changed_text
        if text != change.text:
            _refuse_what_is_not_valid(repository, task, change.file, text)
            # That took a while, and git and editors know nothing of our lock.
            if read_text(root / change.file, change.file) != change.text:
                raise MeanwhileError(f"nothing was written: {change.file} was changed meanwhile.")
            writer.apply({change.file: text})
        written = Written(
            serials=tuple(serial for serial, one in labels.pending.items() if one.key in taken),
            corrected=change.corrected,
            added=change.added,
            confirmed=change.confirmed,
            by=by,
            at=datetime.now(UTC),
        )
        # Cut off before this line, the same grades say next time what the file says already.
        _append(root, task, {"written": written.model_dump(mode="json")})
    return written


def _nothing_to_write(task: str, left: int) -> NoReturn:
    if not left:
        raise PromptHubError(f"{task} has no grade that is not written yet.")
    raise PromptHubError(
        f"nothing was written: what {left} of the grades were about has changed since.",
        hint="Take them back, and grade what is there now.",
        exit_code=ExitCode.BLOCKED,
    )


def _refuse_what_is_not_valid(
    repository: PromptRepository, task: str, file: str, text: str
) -> None:
    findings = findings_about(repository, {file: text}, task)
    if findings:
        lines = "; ".join(f"{finding.problem} [{finding.rule}]" for finding in findings[:5])
        raise PromptHubError(
            f"nothing was written: the examples would not be valid. {lines}.",
            exit_code=ExitCode.BLOCKED,
        )


def _relabelled(line: str, expected: JsonObject) -> str:
    end = "\r" if line.endswith("\r") else ""
    data = {**json.loads(line), "expected": expected}
    return json.dumps(data, ensure_ascii=False) + end


def _same(one: JsonObject | None, other: JsonObject | None) -> bool:
    return canonical(one) == canonical(other)
