"""The log of JSON lines, cut anywhere: its whole lines survive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_hub.core.json_log import JsonLinesLog, json_line

TITLE = b'{"about":"this"}\n'


def lines(log: JsonLinesLog) -> list[bytes]:
    found: list[bytes] = []
    log.scan(lambda line, span: found.append(line) if line == log.read_line(span[0]) else None)
    return found


def of(number: int) -> bytes:
    return json_line({"µ": number})


@given(cut=st.integers(0, 200), count=st.integers(0, 8), long=st.booleans())
def test_a_log_cut_anywhere_keeps_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, cut: int, count: int, long: bool
) -> None:
    path = tmp_path_factory.mktemp("cut") / "log"
    log = JsonLinesLog(path)
    log.begin(TITLE)
    written = [log.append(of(number)) and of(number) for number in range(count)]
    log.close()
    whole = path.read_bytes()
    torn = whole[:cut] + b"x" * (200_000 if long and cut < len(whole) else 0)
    path.write_bytes(torn)
    again = JsonLinesLog(path)
    again.begin(TITLE)
    kept = torn.count(b"\n")
    assert lines(again) == written[: max(kept - 1, 0)]
    for line in written[max(kept - 1, 0) :]:
        again.append(line)
    again.close()
    assert path.read_bytes() == whole
