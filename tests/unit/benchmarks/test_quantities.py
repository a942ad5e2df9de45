"""The benchmark of quantities makes answers that are right and wrong, and would notice a miss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.quantities.__main__ import answers_to, main
from prompt_hub.scoring.comparison import Comparison

ROW = {
    "input": {"part_number": "CRCW06034K70FKEA", "title": "Resistor 4.7 kΩ ±1% 0603"},
    "expected": {"attributes": {"Resistance": "4.7kΩ", "Tolerance": "±1%"}},
}


def test_answers_are_in_spellings_of_others() -> None:
    answers = {(item.kind, item.given, item.is_right) for item in answers_to(ROW)}
    assert {
        ("value, in the title", "4.7 kΩ", True),
        ("value, in the part number", "4K70", True),
        ("value, in the unit itself", "4700 ohm", True),
        ("value, with another prefix", "4700 Ω", True),
        ("value, as IEC 60062's code", "4k7", True),
        ("value, in another unit", "4.7kV", False),
        ("tolerance, in the title", "±1%", True),
        ("tolerance, without its sign", "1 %", True),
        ("tolerance, to one side", "+1%", False),
    } <= answers


def test_it_ends_red_where_a_value_is_judged_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("jlcpcb_parts.jsonl", "octopart_cpl.jsonl"):
        (tmp_path / name).write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["quantities", "--data", str(tmp_path)])
    assert main() == 0
    assert "| **all right answers** | **18** | **2** | **18** |" in capsys.readouterr().out
    monkeypatch.setattr("benchmarks.quantities.__main__.QUANTITY", Comparison())
    assert main() == 1


def test_data_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["quantities", "--data", str(tmp_path)])
    assert main() == 2
    assert "jlcpcb_parts.jsonl is not there" in capsys.readouterr().err
