"""What the answers of an arm come to, summed up as they come: of a million none is kept for it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat

from prompt_hub.core.exact import ExactSum
from prompt_hub.core.percentile import percentile
from prompt_hub.core.wording import count
from prompt_hub.evaluation.example_results import Result
from prompt_hub.evaluation.judge import JUDGE_FILTERED
from prompt_hub.evaluation.record import FieldScore
from prompt_hub.llm.response import FILTERED
from prompt_hub.scoring.base import Counts, on_example


class AnswerSums:
    """Sums over answers: exact ones, so that the order in which answers come does not matter."""

    def __init__(self) -> None:
        """Begin with no answer."""
        self.count = 0
        self.unmeasured = 0
        """Answers without a score."""
        self.repeats = 1
        """How often an example was asked."""
        self.tokens_in = 0
        self.tokens_out = 0
        self.cached = 0
        """Answers that an earlier run has paid for."""
        self.usd = ExactSum()
        """Prices paid, of the answers that have one."""
        self.filtered = 0
        """Answers that a content filter has stopped."""
        self.judge_filtered = 0
        """Other answers about which a judge was stopped by one."""
        self._usd_live = ExactSum()
        """What these calls would have cost by themselves."""
        self._seconds = Counter[float | None]()
        self._fields: dict[str, Counter[Counts]] = defaultdict(Counter)
        self._errors: dict[str, tuple[int, str, int]] = {}
        """Why answers are missing: the place of the first, its example, and how many.

        The example is named where an answer came, and a scorer failed.
        """

    def add(self, place: int, result: Result) -> None:
        """Take the answer that has a place among those that are asked for."""
        self.count += 1
        self.unmeasured += result.score is None
        self.repeats = max(self.repeats, 1 + result.repeat)
        if error := result.error:
            where = on_example(result.id) if on_example(result.id) in error else ""
            self._add_error(error.replace(where, ""), place, where, 1)
        parts, usage = result.parts, result.usage
        if result.problem == FILTERED.reason:
            self.filtered += 1
        elif any(part.loss == JUDGE_FILTERED for part in parts):
            self.judge_filtered += 1
        if usage is None:
            return
        # What was answered has cost something.
        self.cached += result.cached
        self.tokens_in += usage.input_tokens
        self.tokens_out += usage.output_tokens
        self._seconds[usage.seconds] += 1
        if usage.usd is not None and usage.usd_live is not None:
            self.usd.add(usage.usd)
            self._usd_live.add(usage.usd_live)
        for part in parts:
            for name, found in part.fields.items():
                # Equal counts are common; floats among them are summed up at the end.
                self._fields[name][found] += 1

    def merge(self, later: AnswerSums) -> None:
        """Take the sums over answers that were asked for later."""
        places = self.count
        self.count += later.count
        self.unmeasured += later.unmeasured
        self.repeats = max(self.repeats, later.repeats)
        self.tokens_in += later.tokens_in
        self.tokens_out += later.tokens_out
        self.cached += later.cached
        self.filtered += later.filtered
        self.judge_filtered += later.judge_filtered
        self.usd.merge(later.usd)
        self._usd_live.merge(later._usd_live)
        self._seconds += later._seconds
        for name, counts in later._fields.items():
            self._fields[name] += counts
        for reason, (place, where, more) in later._errors.items():
            self._add_error(reason, places + place, where, more)

    def _add_error(self, reason: str, place: int, where: str, more: int) -> None:
        first, example, known = self._errors.get(reason, (place, where, 0))
        if place < first:
            first, example = place, where
        self._errors[reason] = (first, example, known + more)

    @property
    def untimed(self) -> int:
        """How many answers nobody knows the seconds of."""
        return self._seconds[None]

    @property
    def answered(self) -> int:
        """How many calls brought an answer."""
        return self._seconds.total()

    @property
    def usd_per_call(self) -> float | None:
        """Mean cost of a call made by itself, as a service makes it; None without a price."""
        return float(self._usd_live) / self._usd_live.count if self._usd_live.count else None

    def latency(self, share: float) -> float | None:
        """Return the seconds within which `share` of the calls were answered.

        None where none was, or where somebody cannot know it of each.
        """
        if self.untimed:
            return None
        return percentile({s: n for s, n in self._seconds.items() if s is not None}, share)

    def missing(self, whom: str) -> Iterator[str]:
        """Yield why answers or scores of somebody are missing and how many, each reason once."""
        errors = sorted(self._errors.items(), key=lambda entry: entry[1])
        for reason, (_, where, missing) in errors:
            of_all = count(self.count, "score" if where else "answer")
            first = where.replace("(", "(first ", 1)
            yield f"{reason.rstrip('.')}{first}: {missing:,} of {of_all} of {whom} are missing"

    def fields(self) -> Mapping[str, FieldScore]:
        """Return how much of each field was matched, given and wanted."""
        return {
            name: FieldScore(
                matched=math.fsum(chain.from_iterable(repeat(f[0], n) for f, n in found.items())),
                given=sum(given * n for (_, given, _), n in found.items()),
                wanted=sum(wanted * n for (_, _, wanted), n in found.items()),
            )
            for name, found in sorted(self._fields.items())
        }


class SummedResults(Sequence[Result]):
    """Results whose sums were taken as they came."""

    sums: AnswerSums


def sums_of(results: Sequence[Result]) -> AnswerSums:
    """Return what results sum up to."""
    if isinstance(results, SummedResults):
        return results.sums
    sums = AnswerSums()
    for place, result in enumerate(results):
        sums.add(place, result)
    return sums
