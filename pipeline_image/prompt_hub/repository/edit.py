"""Changes one top-level block of a YAML file that people write, and not a byte besides."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml
from pydantic import JsonValue

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.repository.yaml import parse_yaml


def edited(text: str, file: str, key: str, value: Mapping[str, JsonValue]) -> str:
    """`replace_block` on a file as it is on disk: line ends stay, nothing else may change.

    Raises:
        InvalidDocumentsError: the file is no YAML.
        PromptHubError: the file is written in a way that cannot be edited safely.
    """
    ends = "\r\n" if "\r\n" in text else "\n"
    fresh = replace_block(text.replace("\r\n", "\n"), key, value).replace("\n", ends)
    if _mapping(fresh, file) != {**_mapping(text, file), key: dict(value)}:
        raise PromptHubError(
            f"{file} is written in a way that cannot be edited safely.",
            hint=f"Take its {key!r} block out and try again.",
            exit_code=ExitCode.BLOCKED,
        )
    return fresh


def _mapping(text: str, file: str) -> dict[object, object]:
    data = parse_yaml(text, file).data
    return data if isinstance(data, dict) else {}


def replace_block(text: str, key: str, value: Mapping[str, JsonValue]) -> str:
    """`text` with the top-level mapping `key` set to `value`, appended if it is not there.

    The block runs from its key to the next line that starts in the first column, be it a comment;
    comments inside the replaced block go with it.
    """
    block = yaml.safe_dump({key: dict(value)}, sort_keys=False, allow_unicode=True, width=100)
    match = _block(text, key)
    if match is None:
        return text + ("" if not text or text.endswith("\n") else "\n") + block
    # Blank lines behind the block separate it from the next one: they stay.
    kept = match[0][len(match[0].rstrip()) :]
    return text[: match.start()] + block.rstrip("\n") + (kept or "\n") + text[match.end() :]


def without_block(text: str, key: str) -> str:
    """`text` without the top-level mapping `key`."""
    match = _block(text, key)
    return text if match is None else text[: match.start()] + text[match.end() :]


def _block(text: str, key: str) -> re.Match[str] | None:
    pattern = rf"^{re.escape(key)}[ \t]*:.*(?:\n(?:[ \t]+.*)?)*"
    return re.search(pattern, text, re.MULTILINE)
