"""What the looks of an evaluation have brought of one arm, kept as it came."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import overload

from prompt_hub.evaluation.answer_sums import AnswerSums, SummedResults, sums_of
from prompt_hub.evaluation.example_results import Result
from prompt_hub.gate.types import Scores


class LookResults:
    """Results of one arm, look by look, and their scores by the place of their example."""

    def __init__(self, size: int) -> None:
        """Make room for the scores of a set of `size` examples."""
        self.scores = Scores(size)
        self.sums = AnswerSums()
        self._size = size
        self._looks: list[tuple[int, Sequence[int], Sequence[Result]]] = []

    def add(self, repeat: int, places: Sequence[int], results: Sequence[Result]) -> None:
        """Take what a look has brought of the examples at `places`, in that order."""
        for place, result in zip(places, results, strict=True):
            if result.score is not None:
                self.scores.add(place, result.score)
        self.sums.merge(sums_of(results))
        self._looks.append((repeat, places, results))

    def in_file_order(self) -> SummedResults:
        """Return all results in the order of the examples' file, a round after the other."""
        order = array("I")
        for round_ in sorted({repeat for repeat, _, _ in self._looks}):
            asked = chain.from_iterable(
                places for repeat, places, _ in self._looks if repeat == round_
            )
            numbers = array("I", bytes(4 * self._size))
            """By place: which result it has, counted from 1."""
            for number, place in enumerate(asked, start=len(order) + 1):
                numbers[place] = number
            order.extend(number - 1 for number in numbers if number)
        return _Joined([results for _, _, results in self._looks], order, self.sums)


class _Joined(SummedResults):
    """Results of several sequences as one, in a given order."""

    def __init__(
        self, parts: Sequence[Sequence[Result]], order: Sequence[int], sums: AnswerSums
    ) -> None:
        self.sums = sums
        self._parts = parts
        self._starts = [0, *accumulate(map(len, parts))]
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Result]:
        return map(self._at, self._order)

    @overload
    def __getitem__(self, place: int) -> Result: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Result]: ...
    def __getitem__(self, place: int | slice) -> Result | Sequence[Result]:
        if isinstance(place, slice):
            return [self._at(number) for number in self._order[place]]
        return self._at(self._order[place])

    def _at(self, number: int) -> Result:
        part = bisect_right(self._starts, number) - 1
        return self._parts[part][number - self._starts[part]]
