"""Answers of the local model that are not computed again, also after it was stopped."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

Json = dict[str, object]


class KeptAnswers:
    """One model's answers by a digest of their requests: `at_most` of them, in a file of lines.

    `computed_by` is everything that decides an answer beside its request; what something else had
    computed lies in another file of `folder`. One process writes at a time. A kill in the middle of
    a line loses that answer and no other.
    """

    def __init__(self, folder: Path, computed_by: object, *, at_most: int) -> None:
        self._file = folder / f"{digest(computed_by)[:16]}.jsonl"
        self._at_most = at_most
        self._answers: dict[str, Json] = {}
        if at_most and self._file.exists():
            for line in self._file.read_text(encoding="utf-8", errors="replace").splitlines():
                self._take(line)

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, request: str) -> Json | None:
        """Return the answer to the request of that digest, None if it has to be computed."""
        return self._answers.get(request)

    def add(self, request: str, answer: Json) -> None:
        """Keep an answer, unless there are enough; on a full disk only until the process ends."""
        if len(self._answers) >= self._at_most:
            return
        self._answers[request] = answer
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # The line break comes first: it ends a line that a kill left torn.
            with self._file.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps({"request": request, "answer": answer}))

    def _take(self, line: str) -> None:
        try:
            kept = json.loads(line)
            request, answer = kept["request"], kept["answer"]
        except (ValueError, TypeError, KeyError):  # empty, or torn by a kill
            return
        whole = isinstance(request, str) and isinstance(answer, dict)
        if whole and len(self._answers) < self._at_most:
            self._answers[request] = answer


def digest(content: object) -> str:
    """Return the SHA-256 of what `content` is as JSON."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
