"""Grades that outlive everything, and the example file that they become."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prompt_hub.authoring import labels as module
from prompt_hub.authoring.labels import (
    LABELS_DIR,
    Grade,
    MeanwhileError,
    add_grade,
    grader,
    key_of,
    key_of_input,
    read_labels,
    undo_grade,
    write_examples,
)
from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.schema import Example, JsonObject
from tests.unit.building import RepositoryFolder

TASK = "part-class"
FILE = f"prompts/01-examples/{TASK}.jsonl"
NEW: JsonObject = {"part_number": "N-1", "title": "10 k 0603", "manufacturer": "Yageo"}


def grade(example: Example | None, label: str, fields: JsonObject = NEW) -> Grade:
    return Grade(
        key=key_of(example) if example else key_of_input(fields),
        example=example.id if example else None,
        input=example.input if example else fields,
        expected={"part_class": label},
        was=example.expected if example else None,
        by="Ann <ann@example.com>",
        at=datetime.now(UTC),
    )


def add(healthy: RepositoryFolder, given: Grade, seen: int = 0) -> int:
    """Keep a grade; returns its serial."""
    add_grade(healthy.root, TASK, given, seen=seen)
    return read_labels(healthy.root, TASK).last[given.key][0]


def journal(healthy: RepositoryFolder) -> Path:
    return healthy.path((LABELS_DIR / f"{TASK}.jsonl").as_posix())


def other(example: Example) -> str:
    """A label that the example does not have."""
    return "capacitor" if example.expected["part_class"] != "capacitor" else "diode"


@pytest.fixture
def first(healthy: RepositoryFolder) -> Example:
    return healthy.repository.examples(TASK)[0]


def test_a_record_with_what_nobody_sees_is_written_by_escapes(
    healthy: RepositoryFolder, first: Example
) -> None:
    text = healthy.read(FILE)
    healthy.write(FILE, text.replace(str(first.input["title"]), "Wi\\u00adder", 1))
    hidden = healthy.repository.examples(TASK)[0]
    add(healthy, grade(hidden, other(hidden)))
    add(healthy, grade(None, "resistor", {**NEW, "title": "10\u200bk"}))
    add(healthy, grade(None, "resistor", NEW))
    written = write_examples(healthy.repository, TASK, "Ann")
    assert (written.corrected, written.added) == (1, 2)
    assert "Wi\\u00adder" in healthy.read(FILE)
    assert "10\\u200bk" in healthy.read(FILE)
    healthy.stamp(TASK)
    assert healthy.findings() == []


def test_a_corrected_label_changes_its_line_and_not_a_byte_besides(
    healthy: RepositoryFolder, first: Example
) -> None:
    before = healthy.read(FILE).split("\n")
    add(healthy, grade(first, other(first)))
    written = write_examples(healthy.repository, TASK, "Ann")
    after = healthy.read(FILE).split("\n")
    assert (written.corrected, written.added, written.confirmed) == (1, 0, 0)
    assert after[1:] == before[1:]
    assert json.loads(after[0]) == {
        **json.loads(before[0]),
        "expected": {"part_class": other(first)},
    }
    assert list(json.loads(after[0])) == list(json.loads(before[0]))


def test_a_file_with_windows_line_ends_keeps_them(
    healthy: RepositoryFolder, first: Example
) -> None:
    """Validation says what they are; labels are not lost for them."""
    path = healthy.path(FILE)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    before = path.read_bytes().split(b"\r\n")
    add(healthy, grade(first, other(first)))
    add(healthy, grade(None, "resistor"))
    written = write_examples(healthy.repository, TASK, "Ann")
    after = path.read_bytes().split(b"\r\n")
    assert (written.corrected, written.added) == (1, 1)
    assert not any(b"\n" in line or b"\r" in line for line in after)
    assert after[1 : len(before) - 1] == before[1:-1]
    assert json.loads(after[0])["expected"] == {"part_class": other(first)}
    assert json.loads(after[-2])["input"] == NEW
    assert after[-1] == b""


def test_a_new_example_is_added_at_the_end_and_is_valid(healthy: RepositoryFolder) -> None:
    before = healthy.read(FILE)
    healthy.write(FILE, before.rstrip("\n"))
    add(healthy, grade(None, "resistor"))
    assert write_examples(healthy.repository, TASK, "Ann").added == 1
    text = healthy.read(FILE)
    assert text.startswith(before)
    added = healthy.repository.examples(TASK)[-1]
    assert (added.input, added.expected) == (NEW, {"part_class": "resistor"})
    healthy.stamp(TASK)
    assert not [finding for finding in healthy.findings(TASK) if finding.is_error]


def test_what_is_written_is_written_once(healthy: RepositoryFolder) -> None:
    add(healthy, grade(None, "resistor"))
    write_examples(healthy.repository, TASK, "Ann")
    text = healthy.read(FILE)
    assert not read_labels(healthy.root, TASK).pending
    with pytest.raises(PromptHubError, match="no grade that is not written yet"):
        write_examples(healthy.repository, TASK, "Ann")
    assert healthy.read(FILE) == text


def test_cut_off_before_it_was_noted_the_same_grades_change_nothing(
    healthy: RepositoryFolder, first: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(healthy, grade(None, "resistor"))
    add(healthy, grade(first, other(first)))
    with monkeypatch.context() as killed:
        killed.setattr(module, "_append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_examples(healthy.repository, TASK, "Ann")
    text = healthy.read(FILE)
    written = write_examples(healthy.repository, TASK, "Ann")
    assert healthy.read(FILE) == text
    assert (written.corrected, written.added, written.confirmed) == (0, 0, 2)


def test_a_torn_last_line_costs_no_other_grade(healthy: RepositoryFolder, first: Example) -> None:
    add(healthy, grade(None, "resistor"))
    with journal(healthy).open("ab") as stream:
        stream.write(b'{"grade": {"key"')
    assert len(read_labels(healthy.root, TASK).pending) == 1
    add(healthy, grade(first, "resistor"))
    assert len(read_labels(healthy.root, TASK).pending) == 2


def test_a_line_that_is_none_is_named(healthy: RepositoryFolder) -> None:
    add(healthy, grade(None, "resistor"))
    with journal(healthy).open("ab") as stream:
        stream.write(b"nonsense\n")
    with pytest.raises(PromptHubError, match=r"labels/part-class.jsonl:3 is no grade"):
        read_labels(healthy.root, TASK)


def test_the_same_grade_twice_is_one(healthy: RepositoryFolder) -> None:
    serial = add(healthy, grade(None, "resistor"))
    assert add(healthy, grade(None, "resistor")) == serial
    assert len(journal(healthy).read_bytes().splitlines()) == 2


def test_a_grade_from_a_page_that_is_behind_overrules_nobody(healthy: RepositoryFolder) -> None:
    serial = add(healthy, grade(None, "resistor"))
    with pytest.raises(MeanwhileError, match=r"Ann <ann@example\.com> graded it meanwhile"):
        add(healthy, grade(None, "diode"))
    add(healthy, grade(None, "diode"), seen=serial)
    (pending,) = {g.key: g for g in read_labels(healthy.root, TASK).pending.values()}.values()
    assert pending.expected == {"part_class": "diode"}


def test_what_is_taken_back_brings_the_word_before_it_back(healthy: RepositoryFolder) -> None:
    one = add(healthy, grade(None, "resistor"))
    two = add(healthy, grade(None, "diode"), seen=one)
    undo_grade(healthy.root, TASK, two)
    assert read_labels(healthy.root, TASK).last[key_of_input(NEW)][0] == one
    with pytest.raises(MeanwhileError, match="written or taken back already"):
        undo_grade(healthy.root, TASK, two)
    write_examples(healthy.repository, TASK, "Ann")
    with pytest.raises(MeanwhileError, match="written or taken back already"):
        undo_grade(healthy.root, TASK, one)


def test_a_label_that_somebody_changed_since_is_left_alone(
    healthy: RepositoryFolder, first: Example
) -> None:
    add(healthy, grade(first, other(first)))
    add(healthy, grade(None, "resistor"))
    line = healthy.read(FILE).split("\n")[0]
    changed = line.replace(f'"{first.expected["part_class"]}"', '"transistor"')
    assert changed != line
    healthy.edit(FILE, line, changed)
    assert write_examples(healthy.repository, TASK, "Ann").added == 1
    assert healthy.read(FILE).startswith(changed)
    (left,) = read_labels(healthy.root, TASK).pending.values()
    assert left.example == first.id
    with pytest.raises(PromptHubError, match="1 of the grades were about has changed since"):
        write_examples(healthy.repository, TASK, "Ann")


def test_a_label_that_breaks_the_contract_leaves_the_old_file(healthy: RepositoryFolder) -> None:
    before = healthy.read(FILE)
    add(healthy, grade(None, "no such class"))
    with pytest.raises(PromptHubError, match=r"(?s)would not be valid.*example-expected"):
        write_examples(healthy.repository, TASK, "Ann")
    assert healthy.read(FILE) == before
    assert read_labels(healthy.root, TASK).pending


def test_one_mistake_in_many_examples_is_told_in_a_few_lines(healthy: RepositoryFolder) -> None:
    for number in range(20):
        add(healthy, grade(None, "no such class", {**NEW, "part_number": f"N-{number}"}))
    with pytest.raises(PromptHubError, match="and 19 more like it") as refused:
        write_examples(healthy.repository, TASK, "Ann")
    assert str(refused.value).count("\n") < 10


def test_a_set_in_s3_is_told_before_anybody_grades(healthy: RepositoryFolder) -> None:
    digest = "a" * 64
    reference = {
        "schema": "prompt-hub/examples@1",
        "uri": f"s3://some-bucket/examples/{digest}.jsonl",
        "sha256": digest,
        "size": 1,
        "count": 1,
    }
    healthy.write(FILE, json.dumps(reference) + "\n")
    with pytest.raises(PromptHubError, match="lies in S3"):
        module.read_example_lines(healthy.repository, TASK)


def test_a_line_that_was_emptied_leaves_every_other_grade_what_it_was(
    healthy: RepositoryFolder,
) -> None:
    kept, undone, last = ({**NEW, "part_number": name} for name in ("N-1", "N-2", "N-3"))
    add(healthy, grade(None, "resistor", kept))
    with journal(healthy).open("a", encoding="utf-8") as lines:
        lines.write("\n")
    serial = add(healthy, grade(None, "resistor", undone))
    add(healthy, grade(None, "diode", last))
    undo_grade(healthy.root, TASK, serial)
    with journal(healthy).open("a", encoding="utf-8") as lines:
        lines.write("what nobody can read\n")
    with pytest.raises(PromptHubError, match=r"labels/part-class.jsonl:7 is no grade") as caught:
        read_labels(healthy.root, TASK)
    assert "leave it empty" in caught.value.hint
    text = journal(healthy).read_text(encoding="utf-8")
    journal(healthy).write_text(text.replace("what nobody can read", ""), encoding="utf-8")
    left = read_labels(healthy.root, TASK).pending.values()
    assert [one.input["part_number"] for one in left] == ["N-1", "N-3"]


def test_an_example_whose_input_was_changed_keeps_its_id_to_itself(
    healthy: RepositoryFolder,
) -> None:
    serial = add(healthy, grade(None, "resistor"))
    write_examples(healthy.repository, TASK, "Ann")
    healthy.write(FILE, healthy.read(FILE).replace("10 k 0603", "10 kOhm 0603"))
    add(healthy, grade(None, "resistor"), seen=serial)
    assert write_examples(healthy.repository, TASK, "Ann").added == 1
    first, second = [example.id for example in healthy.repository.examples(TASK)][-2:]
    assert second.startswith(first)
    assert len(second) == len(first) + 1


def test_a_grade_of_an_example_that_is_gone_again_changes_no_other_line(
    healthy: RepositoryFolder,
) -> None:
    """Its id is that of the example which a grade of the same input adds."""
    before = healthy.read(FILE)
    name = f"label-{key_of_input(NEW).removeprefix('input:')[:12]}"
    gone = Example(id=name, input=NEW, expected={"part_class": "resistor"})
    add(healthy, grade(None, "resistor"))
    add(healthy, grade(gone, "diode"))
    written = write_examples(healthy.repository, TASK, "Ann")
    assert (written.corrected, written.added) == (0, 1)
    assert healthy.read(FILE).startswith(before)
    (left,) = read_labels(healthy.root, TASK).pending.values()
    assert left.example == name


def test_what_git_brings_while_grades_are_looked_at_is_not_overwritten(
    healthy: RepositoryFolder, first: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(healthy, grade(first, other(first)))
    line = {"id": "pulled", "input": NEW, "expected": {"part_class": "resistor"}}
    pulled = f"{healthy.read(FILE)}{json.dumps(line)}\n"
    with monkeypatch.context() as patched:
        patched.setattr(module, "refuse_what_is_not_valid", lambda *_: healthy.write(FILE, pulled))
        with pytest.raises(MeanwhileError, match="was changed meanwhile"):
            write_examples(healthy.repository, TASK, "Ann")
    assert healthy.read(FILE) == pulled
    assert write_examples(healthy.repository, TASK, "Ann").corrected == 1
    assert healthy.read(FILE).endswith(f"{json.dumps(line)}\n")


@pytest.mark.parametrize("what", ["labels", "examples"])
def test_nothing_is_written_through_a_link_out_of_the_clone(
    healthy: RepositoryFolder, tmp_path: Path, what: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    if what == "labels":
        healthy.path(".prompt-hub").mkdir(exist_ok=True)
        healthy.path(LABELS_DIR.as_posix()).symlink_to(outside)
        with pytest.raises(PromptHubError, match="behind a symbolic link"):
            add(healthy, grade(None, "resistor"))
    else:
        add(healthy, grade(None, "resistor"))
        shutil.move(healthy.path("prompts/01-examples"), outside / "examples")
        healthy.path("prompts/01-examples").symlink_to(outside / "examples")
        text = healthy.read(FILE)
        with pytest.raises(PromptHubError, match="behind a symbolic link"):
            write_examples(healthy.repository, TASK, "Ann")
        assert healthy.read(FILE) == text
    assert not [path for path in outside.iterdir() if path.name != "examples"]


@pytest.mark.processes
def test_who_grades_is_who_would_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    with pytest.raises(PromptHubError, match="git does not know who grades"):
        grader(tmp_path)
    for key, value in (("user.name", "Ann Ärmel"), ("user.email", "ann@example.com")):
        subprocess.run(["git", "-C", tmp_path, "config", key, value], check=True)
    assert grader(tmp_path) == "Ann Ärmel <ann@example.com>"
