"""Changes one top-level block of a YAML file that people write, and not a byte besides."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml
from pydantic import JsonValue


def replace_block(text: str, key: str, value: Mapping[str, JsonValue]) -> str:
    """`text` with the top-level mapping `key` set to `value`, appended if it is not there.

    The block runs from its key to the next line that starts in the first column with anything but
    a comment; comments inside the replaced block go with it.
    """
    block = yaml.safe_dump({key: dict(value)}, sort_keys=False, allow_unicode=True, width=100)
    pattern = re.compile(rf"^{re.escape(key)}[ \t]*:.*(?:\n(?:[ \t]+.*)?)*", re.MULTILINE)
    match = pattern.search(text)
    if match is None:
        return text + ("" if not text or text.endswith("\n") else "\n") + block
    # Blank lines behind the block separate it from the next one: they stay.
    kept = match[0][len(match[0].rstrip()) :]
    return text[: match.start()] + block.rstrip("\n") + (kept or "\n") + text[match.end() :]
