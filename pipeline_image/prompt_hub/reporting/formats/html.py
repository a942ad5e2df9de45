"""The page of an evaluation: a summary that needs no script, and every example behind it.

Examples travel as deflated JSON in base64: 2,000 of them in two arms then fit into a megabyte, and
no text in them can end the element that carries them.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from pydantic import JsonValue

from prompt_hub.core import wording
from prompt_hub.core.percentile import percentile
from prompt_hub.evaluation.example_results import ExampleResult
from prompt_hub.gate.types import Status
from prompt_hub.reporting import charts, pages, words
from prompt_hub.reporting.answers import Answers, Change, Outcome, losses, object_in
from prompt_hub.reporting.evaluation import ArmView, EvaluationView, ExampleView, Messages
from prompt_hub.reporting.plain_words import lead
from prompt_hub.reporting.rows import same_in_other_words
from prompt_hub.reporting.score_history import score_history
from prompt_hub.repository.schema import Example, JsonObject

HELP = "the report page"
LARGEST_PAGE = 1_000_000
"""Bytes of a whole page."""
CUTS = (pages.LONGEST_TEXT, 2_000, 500, 120)
"""Characters that one text may have: the first limit with which the page is small enough."""


def render(view: EvaluationView) -> str:
    """Return the report as HTML, below one megabyte; what had to be cut is said on it."""
    html, longest_text = "", CUTS[0]
    for longest in CUTS:
        if html and longest >= longest_text:
            # Nothing would be cut that was not.
            continue
        html, longest_text = _page(view, view.examples, longest)
        if _size(html) <= LARGEST_PAGE:
            return html
    # Still too large: every example left out saves about its share of the data.
    chosen = sorted(view.examples, key=_interest)
    bare = _size(_page(view, (), CUTS[-1])[0])
    kept = len(chosen)
    while kept and _size(html) > LARGEST_PAGE:
        share = (LARGEST_PAGE - bare) / (_size(html) - bare)
        kept = max(min(int(kept * share * 0.98), kept - 1), 0)
        keep = {example.id for example in chosen[:kept]}
        html, _ = _page(view, [e for e in view.examples if e.id in keep], CUTS[-1])
    return html


def _page(view: EvaluationView, examples: Sequence[ExampleView], longest: int) -> tuple[str, int]:
    """Return the page with texts cut after `longest` characters, and how long the longest was."""
    cut = _Cut(longest)
    data = json.dumps(payload(view, examples, cut), ensure_ascii=False, separators=(",", ":"))
    record = view.evaluation.record
    left_out = []
    if cut.texts:
        left_out.append(
            f"{wording.count(cut.texts, 'text')} cut after {longest:,} characters; the whole ones"
            f" are in {view.evaluation.name.removesuffix('.json')}.jsonl."
        )
    if len(examples) < len(view.examples):
        left_out.append(
            f"{len(view.examples) - len(examples):,} of {len(view.examples):,} examples left out:"
            " those not measured, lost, won or wrong are kept first."
        )
    verdict = record.verdict
    html = pages.page(
        "evaluation.html.j2",
        style="evaluation.css",
        script="evaluation.js",
        view=view,
        record=record,
        verdict=verdict,
        mark=words.mark(verdict.status),
        meaning=words.meaning(verdict.status),
        reasons=words.reasons(record),
        lead=lead(view),
        over_time=score_history(view),
        worst_first=not (verdict.promotes or verdict.status is Status.UNCHANGED),
        spreads=spreads(view),
        notes=(*view.notes, *left_out),
        choices=_choices(examples),
        scale=_difference_scale(view),
        data=base64.b64encode(zlib.compress(data.encode("utf-8"), 9)).decode("ascii"),
        Change=Change,
    )
    return html, cut.longest_text


def _choices(shown: Sequence[ExampleView]) -> list[tuple[str, str, int]]:
    """Return what the list can be narrowed to, and how many examples that leaves.

    None without any.
    """
    outcomes = Counter(example.outcome for example in shown)
    compared = Counter(example.change for example in shown)
    narrower = [
        ("wrong", "wrong", outcomes[Outcome.WRONG]),
        ("won", "won", compared[Change.WON]),
        ("lost", "lost", compared[Change.LOST]),
        ("unmeasured", "not measured", outcomes[Outcome.UNMEASURED]),
    ]
    return [("all", "all", len(shown)), *(choice for choice in narrower if choice[2])]


def _size(html: str) -> int:
    return len(html.encode("utf-8"))


def _interest(example: ExampleView) -> int:
    """Where an example stands when not all can be kept."""
    match example.outcome:
        case Outcome.UNMEASURED:
            return 0
        case Outcome.WRONG:
            return 1 if _changed(example) else 2
        case Outcome.RIGHT:
            return 1 if _changed(example) else 3
        case _:
            assert_never(example.outcome)


def _changed(example: ExampleView) -> bool:
    return example.change in (Change.LOST, Change.WON)


def _difference_scale(view: EvaluationView) -> float:
    """Half the width of the axis on which differences from the champion are drawn."""
    verdict = view.evaluation.record.verdict
    margin = view.margin or 0.0
    shown = [verdict.comparison] if verdict.comparison else []
    ends = [
        margin,
        *(abs(end) for difference in shown for end in (difference.low, difference.high)),
    ]
    return min(charts.nice(max(ends) * 1.15), 1.0)


# --- cost and latency ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """One histogram: what it shows, of which arms, in words as well."""

    title: str
    histogram: charts.Histogram
    arms: tuple[str, ...]
    outlines: tuple[str, ...]
    middle: str
    upper: str
    description: str


def spreads(view: EvaluationView) -> tuple[Spread, ...]:
    """Latency, and cost; tokens stand for the cost where no price is known."""
    found = [_spread("Latency of a call", view.arms, lambda arm: arm.seconds, words.latency)]
    if any(arm.usd for arm in view.arms):
        found.append(_spread("Cost of a call", view.arms, lambda arm: arm.usd, words.money))
    else:
        found.append(_spread("Tokens of a call", view.arms, lambda arm: arm.tokens, _tokens))
    return tuple(spread for spread in found if spread is not None)


def _tokens(value: float | None) -> str:
    return words.NONE if value is None else f"{value:,.0f}"


def _spread(
    title: str,
    arms: Sequence[ArmView],
    values: Callable[[ArmView], Sequence[float]],
    say: Callable[[float | None], str],
) -> Spread | None:
    histogram = charts.histogram(*(values(arm) for arm in arms))
    if histogram is None:
        return None
    message = "; ".join(
        f"{arm.name}: median {say(percentile(values(arm), 0.5))},"
        f" 95 of 100 at most {say(percentile(values(arm), 0.95))}"
        for arm in arms
    )
    return Spread(
        title=title,
        histogram=histogram,
        arms=tuple(arm.name for arm in arms),
        outlines=tuple(
            charts.outline(shares, histogram.highest, 60) for shares in histogram.shares
        ),
        middle=say(histogram.upper / 2),
        upper=f"{say(histogram.upper)}{' and more' if histogram.beyond else ''}",
        description=message,
    )


# --- the examples, for the script ----------------------------------------------------------------


class _Cut:
    """Shortens texts; counts how many it shortened, and how long the longest was before."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.texts = 0
        self.longest_text = 0

    def text(self, text: str) -> str:
        """Return the text, shortened if need be."""
        self.longest_text = max(self.longest_text, len(text))
        if len(text) <= self._longest:
            return text
        self.texts += 1
        return pages.short(text, self._longest)

    def answer(self, call: ExampleResult) -> str:
        """Return an answer; what holds an object is one still, its texts shortened one by one.

        The page takes it apart to lay it beside what was expected, which is shortened like it.
        """
        text = call.answer or ""
        if text.startswith("{") and len(text) <= self._longest:
            return self.text(text)
        found = object_in(call)
        if found is None:
            return self.text(text)
        return json.dumps(self.value(found), ensure_ascii=False)

    def value(self, value: JsonValue) -> JsonValue:
        """Return the value with every text in it shortened."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(inner) for key, inner in value.items()}
        return [self.value(inner) for inner in value] if isinstance(value, list) else value


def payload(view: EvaluationView, examples: Iterable[ExampleView], cut: _Cut) -> JsonObject:
    """Return what the page's script shows: the examples, and the messages common to them."""
    examples = list(examples)
    rendered = {
        arm.name: [arm.messages(e.example) if e.example else None for e in examples]
        for arm in view.arms
    }
    common = {name: _common(messages) for name, messages in rendered.items()}
    shown: list[JsonValue] = []
    for index, example in enumerate(examples):
        line: JsonObject = {"id": example.id, "outcome": example.outcome}
        if example.change:
            line["change"] = example.change
        if example.example:
            line["input"] = cut.value(example.example.input)
            line["expected"] = cut.value(example.example.expected)
        if example.tags:
            line["tags"] = [*example.tags]
        if example.candidate and example.candidate.wrong_fields:
            line["fields"] = [*example.candidate.wrong_fields]
        for arm in view.arms:
            answers = arm.answers.get(example.id)
            if answers is not None:
                messages = _varying(rendered[arm.name][index], common[arm.name])
                line[arm.name] = _answers(answers, example.example, messages, cut)
        shown.append(line)
    return {
        "prompts": {
            name: [
                {"role": role, "text": cut.text(text) if text is not None else None}
                for role, text in messages
            ]
            for name, messages in common.items()
        },
        "examples": shown,
    }


_Common = list[tuple[str, str | None]]


def _common(rendered: Sequence[Messages | None]) -> _Common:
    """Role and text of every message; the text is None where it differs between examples."""
    present = [messages for messages in rendered if messages is not None]
    if not present:
        return []
    return [
        (
            first["role"],
            first["content"] if len({m[place]["content"] for m in present}) == 1 else None,
        )
        for place, first in enumerate(present[0])
    ]


def _varying(messages: Messages | None, common: _Common) -> list[str] | None:
    """Return the texts of one example's messages that are not common to all."""
    if messages is None:
        return None
    pairs = zip(messages, common, strict=True)
    return [message["content"] for message, (_, shared) in pairs if shared is None]


def _answers(
    answers: Answers, example: Example | None, messages: list[str] | None, cut: _Cut
) -> JsonObject:
    line: JsonObject = {
        "score": _rounded(answers.score),
        "calls": [_call(call, example, cut) for call in answers.calls],
    }
    if messages is not None:
        line["messages"] = [cut.text(text) for text in messages]
    return line


def _call(call: ExampleResult, example: Example | None, cut: _Cut) -> JsonObject:
    line: JsonObject = {"score": _rounded(call.score)}
    usage = call.usage
    if call.answer is not None and usage is not None:
        line["answer"] = cut.answer(call)
        if same := same_in_other_words(call, example):
            line["same"] = [*same]
        line["tokens"] = [usage.input_tokens, usage.output_tokens]
    if call.error:
        line["error"] = cut.text(call.error)
    if found := losses(call):
        line["losses"] = [cut.text(loss) for loss in found]
    if votes := [_rounded(vote) for part in call.parts for vote in part.votes]:
        line["votes"] = [*votes]
    if usage is not None:
        if usage.usd is not None:
            line["usd"] = words.money(usage.usd)
        line["seconds"] = words.latency(usage.seconds)
        if usage.attempts > 1:
            line["attempts"] = usage.attempts
    if call.cached:
        line["cached"] = True
    return line


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
