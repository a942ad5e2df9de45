"""A results bucket that nobody can reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from prompt_hub.evaluation.results import Results


class NoBucket:
    """Results that cannot be had, as before the first deployment or without access."""

    def get(self, key: str) -> str | None:
        raise PermissionError(f"AccessDenied: {key}")

    def put(self, key: str, text: str) -> None:
        raise PermissionError(f"AccessDenied: {key}")

    def put_file(self, keys: Sequence[str], body: IO[bytes]) -> None:
        raise PermissionError(f"AccessDenied: {keys[0]}")

    def uri(self, key: str) -> str:
        return key


def no_client() -> Results:
    raise OSError("no credentials")
