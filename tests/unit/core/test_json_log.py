"""The log of JSON lines: whole lines survive whatever happens to the file or to its writers."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.json_log import JsonLinesLog, json_line

TITLE = b'{"about":"this"}\n'


def lines(log: JsonLinesLog) -> list[bytes]:
    found: list[bytes] = []
    log.scan(lambda line, span: found.append(line) if line == log.read_line(span[0]) else None)
    return found


def of(number: int) -> bytes:
    return json_line({"µ": number})


def test_a_torn_line_of_another_writer_is_cut_off_by_the_next_line(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path / "log")
    log.begin(TITLE)
    log.append(of(1))
    with log.path.open("ab") as other:
        other.write(b'{"half')
    assert lines(log) == [of(1)]
    start, _ = log.append(of(2))
    assert start == len(TITLE + of(1))
    assert log.path.read_bytes() == TITLE + of(1) + of(2)
    log.close()


def test_a_full_disk_is_a_sentence_and_costs_the_one_line(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path / "log")
    log.begin(TITLE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(TITLE) + 3, hard))
    try:
        for _ in range(2):
            with pytest.raises(PromptHubError, match=r"log cannot be written: the disk is full\."):
                log.append(of(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.append(of(2))
    assert log.path.read_bytes() == TITLE + of(2)
    log.close()


def test_an_exclusive_log_keeps_others_away_until_it_is_closed(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path / "log", exclusive=True)
    with pytest.raises(BlockingIOError):
        JsonLinesLog(tmp_path / "log", exclusive=True)
    log.append(of(1))
    log.append(of(2))
    with pytest.raises(BlockingIOError):
        JsonLinesLog(tmp_path / "log", exclusive=True)
    log.close()
    JsonLinesLog(tmp_path / "log", exclusive=True).close()


def test_what_is_refused_is_counted_and_left_where_it_is(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path / "log")
    log.begin(TITLE)
    for number in range(4):
        log.append(of(number))
    taken: list[bytes] = []

    def odd(line: bytes, _: tuple[int, int]) -> None:
        if line in (of(0), of(2)):
            raise ValueError
        taken.append(line)

    before = log.path.read_bytes()
    log.scan(odd)
    assert (taken, log.corrupt) == ([of(1), of(3)], 2)
    assert log.path.read_bytes() == before
    log.close()


@pytest.mark.parametrize("before", [3 << 20, 2**31 + 1])
@pytest.mark.parametrize("torn", [5, (1 << 20) - 1, 1 << 20, 3 << 20])
def test_a_torn_line_costs_nothing_else_of_a_file_that_is_too_large_for_one_read(
    tmp_path: Path, torn: int, before: int
) -> None:
    log = JsonLinesLog(tmp_path / "log", exclusive=True)
    log.begin(TITLE)
    # Nothing but a hole is between: it takes no room on the disk.
    os.truncate(log.path, before)
    with log.path.open("ab") as other:
        other.write(b"\n" + of(1) + b"x" * torn)
    start, length = log.append(of(2))
    assert start == before + len(b"\n" + of(1))
    assert log.path.stat().st_size == start + length
    assert log.read_line(start) == of(2)
    log.close()
    log.path.unlink()
