"""Addresses as people may see them: without the keys that some carry."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_USER = re.compile(r"(?<=://)[^/?#\s]*@")
_VALUE = re.compile(r"(?<=[?&])([^=&#\s]*)=[^&#\s'\"]*")


def hide_credentials(text: str) -> str:
    """Take users, passwords and the values of queries out of every address in a text."""
    return _VALUE.sub(r"\1=…", _USER.sub("…@", text))


def address_problem(url: str) -> str:
    """Say why an address cannot be one that paths are added to; empty if it can.

    The address itself is not repeated: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "is no address (http://... or https://...)"
    if "@" in parts.netloc:
        return "holds a user or a password, which addresses are not to hold"
    if "?" in url or "#" in url:
        return "has something behind its path (? or #), where paths are added"
    return ""
