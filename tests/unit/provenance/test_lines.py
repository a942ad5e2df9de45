"""A call by its place: the line that an editor, `grep` and our own lists call by that number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.provenance.calls import Call, calls_in
from prompt_hub.provenance.tracing import Tracer


def _line(record: int, text: str) -> str:
    line = {"record": record, "task": "brand", "version": "1.0.0", "sha256": "a" * 64}
    return json.dumps({**line, "output": {"text": text}, "error": None}, ensure_ascii=False)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A batch output, written as ours are: with every character as it is."""
    path = tmp_path / "out.jsonl"
    lines = [_line(1, "two\u2028lines, and a\x85third"), _line(2, "one"), "no call"]
    path.write_bytes("\n".join(lines).encode() + b"\n")
    return path


def _traced(place: str) -> Call | None:
    """The call that `trace` begins with; for a line it asks neither git nor a stage."""
    unasked: Any = None
    return Tracer(unasked, None).subject([place], []).call


def test_a_separator_in_an_answer_begins_no_line(output: Path) -> None:
    listed = list(calls_in([output]))
    assert [call.where for call in listed] == [f"{output}:1", f"{output}:2"]
    assert [_traced(call.where) for call in listed] == listed


def test_a_line_that_is_not_there_is_said(output: Path) -> None:
    with pytest.raises(PromptHubError, match=r"out\.jsonl has 3 lines, no line 4\.$"):
        _traced(f"{output}:4")


def test_bytes_that_are_no_text_hide_no_line(output: Path) -> None:
    output.write_bytes(b"\xff\n" + output.read_bytes())
    assert _traced(f"{output}:2") == next(calls_in([output]))


def test_a_file_that_is_not_there_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(PromptHubError, match=r"gone\.jsonl cannot be read: No such file"):
        _traced(f"{tmp_path}/gone.jsonl:7")
