"""Records, and the lines that a journal keeps of them."""

from __future__ import annotations

from pathlib import Path

from prompt_hub.batch.readers import Record, read_records

IDENTITY = {"input": "abc", "version": "1.0.0"}


def line(number: int, error: str | None = None) -> dict[str, str | int | None]:
    return {"record": number, "output": f"Ω{number}", "error": error}


def records(path: Path, content: bytes | str) -> list[Record]:
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return list(read_records(path))
