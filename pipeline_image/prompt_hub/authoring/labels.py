"""Labels that people give: kept at once, and made a change of `01-examples` when they say so.

A grade is a line of `.prompt-hub/labels/TASK.jsonl` in the clone, which git does not see and which
is only ever appended to, so that nothing is lost with a process. `write_examples` makes grades a
change of the task's example file, which whoever graded looks at and commits.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from prompt_hub.authoring.task_files import (
    examples_path,
    json_text,
    jsonl,
    refuse_what_is_not_valid,
)
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
    """What a person saw when deciding has changed since."""


class Grade(Strict):
    """What a person says the right answer to an input is."""

    key: str
    """What was graded: an example of the file, or an input that is not in it."""
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


def key_of(example: Example) -> str:
    """Return what an example is graded under."""
    return f"example:{example.id}"


def key_of_input(fields: JsonObject) -> str:
    """Return what an input that is not an example is graded under."""
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
    name = _file(task)
    path = _own(root, name)
    # A last line without an end is being written, or was when its process died.
    lines = read_bytes(path, name).split(b"\n")[1:-1] if path.exists() else []
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
                f"{name}:{number} is no grade.",
                # Deleted, it would give every line below it the serial of another grade.
                hint="Mend the line, or leave it empty: the others are known by their numbers.",
            ) from None
        if line.grade:
            graded[number] = line.grade
        if line.undone:
            graded.pop(line.undone, None)
        if line.written:
            written = line.written
            done.update(written.serials)
    last = {grade.key: (serial, grade) for serial, grade in graded.items()}
    pending = {serial: grade for serial, grade in graded.items() if serial not in done}
    return Labels(last, pending, written)


def add_grade(root: Path, task: str, grade: Grade, *, seen: int) -> None:
    """Keep a grade; the same grade again changes nothing.

    Raises:
        MeanwhileError: somebody graded it since `seen`, the serial of the last word that whoever
            grades now has seen, and otherwise.
    """
    with exclusive(root):
        serial, other = read_labels(root, task).last.get(grade.key, (0, None))
        if serial != seen:
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
    log = JsonLinesLog(_own(root, _file(task)))
    try:
        log.begin(json_line({"schema": _TITLE, "task": task}))
        log.append(json_line(line))
    finally:
        log.close()


def _file(task: str) -> str:
    return (LABELS_DIR / f"{task}.jsonl").as_posix()


def _own(root: Path, name: str) -> Path:
    """Return the path of a file: a clone of somebody else's may hold links that lead elsewhere."""
    if path_inside(root, name) != root.resolve() / name:
        raise PromptHubError(f"{name} is behind a symbolic link.", hint="Remove the link.")
    return root / name


# --- The file for git --------------------------------------------------------------------------


def read_example_lines(
    repository: PromptRepository, task: str
) -> tuple[str, list[tuple[int, Example]]]:
    """Return the text of a task's example file, and its examples with their lines.

    Raises:
        PromptHubError: grades could not be written into that file.
    """
    file = examples_path(task)
    text = read_text(_own(repository.root, file), file)
    if reference_in(text.encode("utf-8"), file) is not None:
        raise PromptHubError(
            f"{file} names a set that lies in S3, which is not changed here.",
            hint="Change a copy of the set (prompt-hub examples fetch says where it is), and push"
            " that: prompt-hub examples push TASK FILE.",
            exit_code=ExitCode.BLOCKED,
        )
    examples, problems = parse_examples(text, file)
    if problems:
        raise InvalidDocumentsError(problems)
    return text, examples


def write_examples(repository: PromptRepository, task: str, by: str) -> Written:
    """Make the grades a change of the task's example file, whole or not at all.

    A grade whose example is no longer as it was when it was graded stays behind.

    Raises:
        PromptHubError: there is nothing to write, or the file would not be valid.
    """
    root, file = repository.root, examples_path(task)
    with exclusive(root) as writer:
        pending = read_labels(root, task).pending
        newest = {grade.key: grade for grade in pending.values()}
        before, examples = read_example_lines(repository, task)
        text, became = _changed(before, examples, newest)
        if not newest:
            raise PromptHubError(f"{task} has no grade that is not written yet.")
        if not became:
            raise PromptHubError(
                "nothing was written:"
                f" what {len(newest)} of the grades were about has changed since.",
                hint="Take them back, and grade what is there now.",
                exit_code=ExitCode.BLOCKED,
            )
        if text != before:
            # Ends of lines that were there before keep no label out: `validate` says what they are.
            refuse_what_is_not_valid(repository, task, {file: text.replace("\r\n", "\n")})
            # That took a while, and git and editors know nothing of our lock.
            if read_text(root / file, file) != before:
                raise MeanwhileError(f"nothing was written: {file} was changed meanwhile.")
            writer.apply({file: text})
        counts = Counter(became.values())
        written = Written(
            serials=tuple(serial for serial, grade in pending.items() if grade.key in became),
            corrected=counts["corrected"],
            added=counts["added"],
            confirmed=counts["confirmed"],
            by=by,
            at=datetime.now(UTC),
        )
        # Cut off before this line, the same grades say next time what the file says already.
        _append(root, task, {"written": written.model_dump(mode="json")})
    return written


def _changed(
    text: str, examples: Iterable[tuple[int, Example]], grades: Mapping[str, Grade]
) -> tuple[str, dict[str, str]]:
    """Return a file with grades taken over, and what became of each that was.

    Every other line is as it was, to the byte, and new ones end as those do.
    """
    lines, new = text.split("\n"), list[Example]()
    known: dict[str, tuple[int, Example]] = {}
    ids = set[str]()
    for number, example in examples:
        place = number - 1, example
        known |= {key_of(example): place, key_of_input(example.input): place}
        ids.add(example.id)
    became: dict[str, str] = {}
    for key, grade in grades.items():
        at, found = known.get(key, (0, None))
        if found and _same(found.expected, grade.expected):
            became[key] = "confirmed"
        elif found and _same(found.input, grade.input) and _same(found.expected, grade.was):
            line = {**json.loads(lines[at]), "expected": grade.expected}
            lines[at] = json_text(line) + "\r" * lines[at].endswith("\r")
            became[key] = "corrected"
        elif not found and grade.example is None:
            # Somebody may have changed the input that has the usual name.
            names = (f"label-{sha256_of(grade.input)[:length]}" for length in range(12, 65))
            name = next(name for name in names if name not in ids)
            new.append(Example(id=name, input=grade.input, expected=grade.expected))
            ids.add(name)
            became[key] = "added"
    end = "\r\n" if "\r\n" in text else "\n"
    text = "\n".join(lines)
    between = end if new and text and not text.endswith("\n") else ""
    return text + between + jsonl(new).replace("\n", end), became


def _same(one: JsonObject | None, other: JsonObject | None) -> bool:
    return canonical(one) == canonical(other)
