"""The examples of an evaluation, narrowed and paged on the server: 20,000 of them stay quick."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from prompt_hub.reporting.answers import Change, Outcome
from prompt_hub.reporting.evaluation import EvaluationView, ExampleView, badness

ROWS = 50
SHOWS = {
    "all": "all",
    "wrong": "wrong",
    "lost": "lost against the champion",
    "won": "won against the champion",
    "unmeasured": "not measured",
}
"""What the list can be narrowed to."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What a person wants to see; all of it stands in the URL."""

    show: str = "all"
    words: str = ""
    tag: str = ""
    field: str = ""
    page: int = 1

    def query(self, **changed: object) -> str:
        """Return the query of the same list with something changed; what is empty is left out."""
        values: dict[str, object] = {
            "show": self.show if self.show != "all" else "",
            "words": self.words,
            "tag": self.tag,
            "field": self.field,
            "page": self.page,
            **changed,
        }
        return urlencode({name: value for name, value in values.items() if value})


@dataclass(frozen=True, kw_only=True)
class Found:
    """One page of what a filter leaves."""

    rows: Sequence[ExampleView]
    total: int
    page: int
    pages: int


class ExampleIndex:
    """Examples with the texts that they are searched by, made once; the worst come first."""

    def __init__(self, view: EvaluationView) -> None:
        self.view = view
        self._order = sorted(view.examples, key=badness)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many examples each choice of `SHOWS` leaves."""
        view = self.view
        return {
            "all": len(view.examples),
            "wrong": view.outcomes[Outcome.WRONG],
            "lost": view.compared[Change.LOST],
            "won": view.compared[Change.WON],
            "unmeasured": view.outcomes[Outcome.UNMEASURED],
        }

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """Every tag, sorted."""
        return tuple(sorted({tag for example in self.view.examples for tag in example.tags}))

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Every output field that was wrong somewhere."""
        return tuple(row.name for row in self.view.fields if row.examples_wrong)

    @cached_property
    def _texts(self) -> list[str]:
        return [_text(example) for example in self._order]

    def find(self, wanted: Filter) -> Found:
        """Return the page that a filter asks for; one beyond the last is the last."""
        words = wanted.words.lower().split()
        texts = self._texts if words else ()
        left = [
            example
            for place, example in enumerate(self._order)
            if _shown(example, wanted) and all(word in texts[place] for word in words)
        ]
        pages = max(-(-len(left) // ROWS), 1)
        page = min(max(wanted.page, 1), pages)
        rows = left[(page - 1) * ROWS : page * ROWS]
        return Found(rows=rows, total=len(left), page=page, pages=pages)


def _shown(example: ExampleView, wanted: Filter) -> bool:
    if wanted.tag and wanted.tag not in example.tags:
        return False
    if wanted.field and (
        example.candidate is None or wanted.field not in example.candidate.wrong_fields
    ):
        return False
    match wanted.show:
        case "wrong":
            return example.outcome is Outcome.WRONG
        case "lost":
            return example.change is Change.LOST
        case "won":
            return example.change is Change.WON
        case "unmeasured":
            return example.outcome is Outcome.UNMEASURED
    return True


def _text(example: ExampleView) -> str:
    parts = [example.id, *example.tags]
    if example.example:
        parts += [as_json(example.example.input), as_json(example.example.expected)]
    for answers in (example.candidate, example.champion):
        if answers:
            parts += [call.answer or "" for call in answers.calls]
            parts += [*answers.losses, *answers.errors]
    return "\n".join(parts).lower()


def as_fields(value: object) -> tuple[tuple[str, str], ...]:
    """Return an object as its fields and what each is; nothing for anything else."""
    if not isinstance(value, dict):
        return ()
    return tuple(
        (name, inner if isinstance(inner, str) else as_json(inner)) for name, inner in value.items()
    )


def as_json(value: object) -> str:
    """Return a value of an example as people read it."""
    return json.dumps(value, ensure_ascii=False)
