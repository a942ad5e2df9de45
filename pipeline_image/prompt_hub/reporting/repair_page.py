"""The difference that a repair made: as a page, as a Markdown summary, and for programs."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from prompt_hub.batch.changes import Change, ChangedRecord, ChangeTally, FieldTally, Pair
from prompt_hub.batch.run_manifest import RunManifest, VersionCount
from prompt_hub.core import wording
from prompt_hub.reporting import pages, words
from prompt_hub.reporting.markdown import code, escaped, table
from prompt_hub.repository.schema import JsonObject

LARGEST_PAGE = 1_000_000
"""Bytes of a whole page."""
CUTS = (pages.LONGEST_TEXT, 2_000, 500, 120)
"""Characters that one text may have: the first limit with which the page is small enough."""
PAIRS_OPEN, PAIRS_MOST = 8, 60
"""Pairs of values of a field that are seen at once, and that the page has at all."""
PAIRS_IN_SUMMARY = 5
ERROR = "error of the record"
"""What stands where a field's name does: it is no field of the output."""


@dataclass(frozen=True)
class RepairView:
    """What a page about a repair says."""

    manifest: RunManifest
    """Of the run that the repair is."""
    changes: ChangeTally
    by: VersionCount
    """The version that has answered again, with what it answered in the whole output."""
    changes_file: str
    """Where every change stands: a name beside the page."""

    @property
    def bad(self) -> str:
        """The version whose records were made again."""
        assert self.manifest.repair_of is not None
        return self.manifest.repair_of.version

    @property
    def fields(self) -> list[FieldView]:
        """Every field that changed, the one that changed most often first."""
        tallies = sorted(self.changes.fields.items(), key=lambda item: -item[1].changed)
        return [FieldView(name, tally) for name, tally in tallies]


@dataclass(frozen=True)
class FieldView:
    """One field: how often it changed, and from what to what."""

    name: str | None
    tally: FieldTally

    @property
    def title(self) -> str:
        """Its name, for people."""
        return ERROR if self.name is None else self.name

    def pairs(self, most: int) -> list[tuple[Pair, int]]:
        """Return the most frequent pairs of values; of equally frequent ones the first seen."""
        return self.tally.pairs.most_common(most)

    @property
    def left_out(self) -> int:
        """Changes of pairs that the page does not show."""
        return self.tally.changed - sum(n for _, n in self.pairs(PAIRS_MOST))


def repair_page(view: RepairView) -> str:
    """Return the difference as HTML, below one megabyte; what had to be left out is said on it."""
    records: Sequence[ChangedRecord] = view.changes.shown
    for longest in CUTS:
        html = _page(view, records, longest)
        if len(html.encode()) <= LARGEST_PAGE:
            return html
    while records and len(html.encode()) > LARGEST_PAGE:
        records = records[: len(records) // 2]
        html = _page(view, records, CUTS[-1])
    return html


def _page(view: RepairView, records: Sequence[ChangedRecord], longest: int) -> str:
    cut = _Cut(longest)
    data = json.dumps(_payload(view, records, cut), ensure_ascii=False, separators=(",", ":"))
    left_out = []
    if len(records) < view.changes.changed:
        left_out.append(
            f"The list below has {len(records):,} of {view.changes.changed:,} changed records: the"
            f" first ones, and some of every rare change. All are in {view.changes_file}."
        )
    if cut.texts:
        left_out.append(
            f"{wording.count(cut.texts, 'text')} cut after {longest:,} characters; the whole ones"
            f" are in {view.changes_file}, and in the output."
        )
    return pages.page(
        "repair.html.j2",
        style="repair.css",
        script="repair.js",
        view=view,
        manifest=view.manifest,
        changes=view.changes,
        notes=left_out,
        pairs_open=PAIRS_OPEN,
        pairs_most=PAIRS_MOST,
        plain=plain,
        data=base64.b64encode(zlib.compress(data.encode("utf-8"), 9)).decode("ascii"),
    )


def _payload(view: RepairView, records: Sequence[ChangedRecord], cut: _Cut) -> JsonObject:
    """Return what the page's script shows; fields and pairs are told by their place above."""
    fields = {field.name: place for place, field in enumerate(view.fields)}
    pairs = [
        {pair: place for place, (pair, _) in enumerate(field.pairs(PAIRS_MOST))}
        for field in view.fields
    ]

    def shown(change: Change) -> JsonObject:
        place = fields[change.field]
        sides = {name: cut.value(value) for name, value in change.sides.items()}
        return {"field": place, "pair": pairs[place].get(change.pair), **sides}

    return {
        "fields": [field.title for field in view.fields],
        "records": [
            {
                "record": each.record,
                "input": cut.value(each.input),
                "changes": [shown(change) for change in each.changes],
            }
            for each in records
        ],
    }


class _Cut:
    """Shortens texts, and counts how many."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.texts = 0

    def value(self, value: JsonValue) -> JsonValue:
        """Return the value with every text in it shortened."""
        if isinstance(value, str):
            self.texts += len(value) > self._longest
            return pages.short(value, self._longest)
        if isinstance(value, dict):
            return {key: self.value(inner) for key, inner in value.items()}
        return [self.value(inner) for inner in value] if isinstance(value, list) else value


def repair_markdown(view: RepairView) -> str:
    """Return the difference as a Markdown summary."""
    changes = view.changes
    lines = [
        f"### {view.manifest.task} {view.bad} → {view.by.version}: {headline(changes)}",
        "",
        *(f"- {escaped(fact)}" for fact in facts(view)),
    ]
    for field in view.fields:
        head = (f"{field.title}: {wording.count(field.tally.changed, 'record')}", "before", "after")
        pairs = field.pairs(PAIRS_IN_SUMMARY)
        rows = [[f"{n:,}", _side(before), _side(after)] for (before, after), n in pairs]
        lines += ["", *table((code(head[0]), *head[1:]), rows, 0)]
    return "\n".join(lines).rstrip("\n") + "\n"


def headline(changes: ChangeTally) -> str:
    """How many records came out otherwise, of how many, in words."""
    again = wording.count(changes.records, "record")
    return f"{changes.changed:,} of {again} made again came out otherwise"


def facts(view: RepairView) -> list[str]:
    """Return what else there is to know, a sentence each."""
    manifest, changes = view.manifest, view.changes
    assert manifest.repair_of is not None
    untouched = manifest.records - changes.records
    return [
        f"{wording.count(manifest.records, 'record')} in the output, {untouched:,} of other"
        " versions left as they were",
        f"{changes.mended:,} had an error and {wording.noun(changes.mended, 'has', 'have')} an"
        f" output now, {changes.lost:,} the other way round",
        f"{wording.count(manifest.spent.calls, 'call')},"
        f" {wording.count(manifest.spent.input_tokens, 'token')} in"
        f" and {manifest.spent.output_tokens:,} out, {words.money(manifest.spent.usd)}",
        f"repair of run {manifest.repair_of.run}: {manifest.repair_of.reason}",
    ]


def repair_json(view: RepairView) -> JsonObject:
    """Return the difference for programs; every change stands in the file of changes."""
    changes = view.changes
    return {
        "task": view.manifest.task,
        "version": view.bad,
        "by": view.by.version,
        "run": view.manifest.run,
        "records": view.manifest.records,
        "made_again": changes.records,
        "changed": changes.changed,
        "mended": changes.mended,
        "lost": changes.lost,
        "fields": [
            {
                "field": field.name,
                "changed": field.tally.changed,
                "pairs": [
                    {"before": before, "after": after, "records": n}
                    for (before, after), n in field.pairs(PAIRS_MOST)
                ],
                "of_other_pairs": field.left_out,
            }
            for field in view.fields
        ],
    }


def plain(text: str) -> str:
    """Return a value of a pair as people read it: a text without its quotes."""
    return text[1:].removesuffix('"') if text.startswith('"') else text


def _side(text: str | None) -> str:
    return "nothing" if text is None else code(plain(text))
