"""A run that dies is taken up where it was; the output appears whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_hub.batch.journal import Journal
from tests.unit.batch.records import IDENTITY, line


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data(), count=st.integers(1, 5))
def test_a_journal_torn_anywhere_keeps_its_whole_lines(
    tmp_path: Path, data: st.DataObject, count: int
) -> None:
    output = tmp_path / "out.jsonl"
    path = tmp_path / "out.jsonl.part"
    path.unlink(missing_ok=True)
    with Journal(output, IDENTITY) as journal:
        for number in range(1, count + 1):
            journal.append(line(number))
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    survivors = max(whole[:cut].count(b"\n") - 1, 0)
    with Journal(output, IDENTITY) as journal:
        assert journal.set_aside == ""
        assert journal.finished == set(range(1, survivors + 1))
        for number in range(survivors + 1, count + 1):
            journal.append(line(number))
        journal.publish()
    read = [json.loads(text) for text in output.read_text("utf-8").splitlines()]
    assert read == [line(number) for number in range(1, count + 1)]
