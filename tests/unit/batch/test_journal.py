"""A run that dies is taken up where it was; the output appears whole or not at all."""

from __future__ import annotations

import json
import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prompt_hub.batch.journal import Journal
from prompt_hub.core.errors import PromptHubError
from tests.unit.batch.records import IDENTITY, line


def test_lines_come_out_in_the_order_of_the_records(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    with Journal(output, IDENTITY) as journal:
        for number in (3, 1, 2):
            journal.append(line(number))
        assert not output.exists()
        journal.publish()
    assert [json.loads(text) for text in output.read_text().splitlines()] == [
        line(1),
        line(2),
        line(3),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_answers_beyond_a_limit_are_kept_for_the_whole_run(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    with Journal(output, IDENTITY) as journal:
        for number in (1, 2, 3):
            journal.append(line(number))
        journal.publish(2)
    assert [json.loads(text) for text in output.read_text().splitlines()] == [line(1), line(2)]
    with Journal(output, IDENTITY) as journal:
        assert journal.finished == {1, 2, 3}
        journal.publish(3)
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_what_was_finished_is_there_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.jsonl", IDENTITY) as journal:
        journal.append(line(2))
        journal.append(line(5, error="line 6: bad"))
    with Journal(tmp_path / "out.jsonl", IDENTITY) as journal:
        assert journal.finished == {2, 5}
        assert journal.failed == {5}


def test_what_another_run_finished_is_set_aside_and_said(tmp_path: Path) -> None:
    output, other = tmp_path / "out.jsonl", {**IDENTITY, "version": "1.1.0", "model": "m"}
    with Journal(output, IDENTITY) as journal:
        journal.append(line(1))
        journal.append(line(2))
        assert journal.set_aside == ""
    with Journal(output, other) as journal:
        assert "another run (other version, model): its 2 finished records" in journal.set_aside
        assert "out.jsonl.part.1" in journal.set_aside
        assert journal.finished == frozenset()
        journal.append(line(4))
    with Journal(output, IDENTITY) as journal:
        assert "out.jsonl.part.2" in journal.set_aside
    (tmp_path / "out.jsonl.part.1").replace(tmp_path / "out.jsonl.part")
    with Journal(output, IDENTITY) as journal:
        assert journal.set_aside == ""
        assert journal.finished == {1, 2}


def test_a_journal_that_holds_nothing_is_begun_anew_without_a_word(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    for version in ("1.0.0", "1.1.0", "1.0.0"):
        with Journal(output, {**IDENTITY, "version": version}) as journal:
            assert journal.set_aside == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl.part"]


@pytest.mark.parametrize("content", [b"mine\n", b"mine", b'{"a":1}\n{"record":1}\n', b"\xff\n\n"])
def test_a_file_of_somebody_else_under_the_same_name_is_kept(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "out.jsonl.part").write_bytes(content)
    with Journal(tmp_path / "out.jsonl", IDENTITY) as journal:
        assert "no journal that is known" in journal.set_aside
        assert journal.finished == frozenset()
    assert (tmp_path / "out.jsonl.part.1").read_bytes() == content


def test_a_garbled_line_costs_its_own_record(tmp_path: Path) -> None:
    output, path = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
    with Journal(output, IDENTITY) as journal:
        for number in (1, 2, 3):
            journal.append(line(number))
    path.write_bytes(path.read_bytes().replace(b'{"record":2', b"\x00\x00\x00\x00\x00"))
    with Journal(output, IDENTITY) as journal:
        assert journal.finished == {1, 3}
        journal.append(line(2))
        journal.publish()
    assert [json.loads(text)["record"] for text in output.read_text().splitlines()] == [1, 2, 3]


def test_two_runs_may_not_write_the_same_output(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "out.jsonl", IDENTITY),
        pytest.raises(PromptHubError, match="another run is writing"),
        Journal(tmp_path / "out.jsonl", IDENTITY),
    ):
        pass


def test_only_the_first_records_are_published_if_asked(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    with Journal(output, IDENTITY) as journal:
        for number in (1, 2, 3):
            journal.append(line(number))
        journal.publish(2)
    assert [json.loads(text)["record"] for text in output.read_text().splitlines()] == [1, 2]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow above `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    with Journal(output, IDENTITY) as journal:
        journal.append(line(1))
    full = room_for((tmp_path / "out.jsonl.part").stat().st_size + 10)
    with (
        full,
        Journal(output, IDENTITY) as journal,
        pytest.raises(PromptHubError, match=r"out\.jsonl\.part cannot be written.*is kept"),
    ):
        journal.append(line(2))
    with Journal(output, IDENTITY) as journal:
        assert journal.finished == {1}
        journal.append(line(2))
        with room_for(20), pytest.raises(PromptHubError, match=r"out\.jsonl cannot be written"):
            journal.publish()
    with Journal(output, IDENTITY) as journal:
        assert journal.finished == {1, 2}
        journal.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_finished_record_takes_a_few_bytes(tmp_path: Path) -> None:
    def traced(count: int) -> int:
        output = tmp_path / f"{count}.jsonl"
        tracemalloc.start()
        try:
            with Journal(output, IDENTITY) as journal:
                for number in range(1, count + 1):
                    journal.append(
                        {"record": number, "error": "line 1: no" if number % 2 else None}
                    )
                assert len(journal.finished) == count
                held, _ = tracemalloc.get_traced_memory()
                journal.publish()
        finally:
            tracemalloc.stop()
        assert sum(1 for _ in output.open("rb")) == count
        return held

    assert (traced(12_000) - traced(2_000)) / 10_000 < 6


def test_records_far_apart_are_written_in_their_order(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    numbers = [10**15, 4096, 5, 4095]
    with Journal(output, IDENTITY) as journal:
        for number in numbers:
            journal.append({"record": number, "error": "no" if number == 5 else None})
        assert list(journal.finished) == sorted(numbers)
        assert 6 not in journal.finished
        assert journal.failed == {5}
        journal.publish()
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [line["record"] for line in lines] == sorted(numbers)


def test_lines_too_far_from_their_neighbours_are_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a journal of gigabytes, here within 128 bytes: what an earlier run left out comes last.
    monkeypatch.setattr("prompt_hub.batch.journal._Lines.NONE", -128)
    output = tmp_path / "out.jsonl"
    numbers = [2, 4, *range(10, 30), 3, 1]
    with Journal(output, IDENTITY) as journal:
        for number in numbers:
            journal.append({"record": number, "error": "no" if number == 3 else None})
    with Journal(output, IDENTITY) as journal:
        assert list(journal.finished) == sorted(numbers)
        assert journal.failed == {3}
        # Asked again, it stands elsewhere and failed no more.
        journal.append({"record": 3, "error": None})
        assert not journal.failed
        journal.publish()
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [line["record"] for line in lines] == sorted(numbers)
    assert {line["error"] for line in lines} == {None}
