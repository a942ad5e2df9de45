"""Compressed files of records: read as what is in them, within bounds."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from prompt_hub.batch import layout
from prompt_hub.batch.layout import find_layout
from prompt_hub.batch.readers import read_records
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.schema import Records

TABLE = 'mpn;title\nBAT54;"a quoted\nline end"\nRC0603;x\n'


def compressed(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()))
    return path


@pytest.mark.parametrize("name", ["parts.csv", "parts.TSV", "parts.jsonl", "parts.ndjson"])
def test_a_compressed_file_has_the_records_of_the_plain_one(tmp_path: Path, name: str) -> None:
    text = TABLE if "jsonl" not in name and "ndjson" not in name else '{"a": 1}\n{"a": "2"}\n'
    plain, packed = tmp_path / name, tmp_path / f"{name}.gz"
    plain.write_text(text)
    records = Records(separator=";")
    read = [
        list(read_records(path, find_layout(path, records)))
        for path in (plain, compressed(packed, text))
    ]
    assert read[0] == read[1]
    assert len(read[0]) == 2


def test_a_file_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "UNPACKED_BYTES", 1 << 20)
    path = compressed(tmp_path / "parts.csv.gz", "mpn\n" + "BAT54\n" * 300_000)
    assert path.stat().st_size < 10_000
    with pytest.raises(PromptHubError, match=r"unpacks to more than 1,048,576 bytes") as refused:
        list(read_records(path))
    assert refused.value.exit_code is ExitCode.BLOCKED


def test_a_line_that_does_not_end_is_never_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "LINE_CHARACTERS", 1000)
    path = compressed(tmp_path / "parts.jsonl.gz", '{"a": "' + "x" * 2000 + '"}\n')
    with pytest.raises(PromptHubError, match="has a line of more than 1,000 characters"):
        list(read_records(path))


@pytest.mark.parametrize("cut", [slice(None, -12), slice(None, 40)])
def test_a_torn_file_is_refused_in_a_sentence(tmp_path: Path, cut: slice) -> None:
    path = compressed(
        tmp_path / "parts.csv.gz", "mpn\n" + "".join(map("P{}\n".format, range(9999)))
    )
    path.write_bytes(path.read_bytes()[cut])
    with pytest.raises(PromptHubError, match=r"parts\.csv\.gz cannot be unpacked: "):
        list(read_records(path))


def test_what_is_compressed_must_say_so_once(tmp_path: Path) -> None:
    once = compressed(tmp_path / "parts.csv", TABLE)
    with pytest.raises(PromptHubError, match=r"is compressed, not text"):
        find_layout(once, Records())
    twice = tmp_path / "parts.csv.gz"
    twice.write_bytes(gzip.compress(once.read_bytes()))
    with pytest.raises(PromptHubError, match=r"is compressed, not text"):
        find_layout(twice, Records())


def test_another_compressed_file_is_refused_by_its_ending(tmp_path: Path) -> None:
    with pytest.raises(PromptHubError, match=r"the ending '\.xml' is not one of"):
        find_layout(compressed(tmp_path / "parts.xml.gz", TABLE), Records())
