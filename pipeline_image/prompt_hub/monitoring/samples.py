"""The examples that the rounds of one run ask: all of a small set, of a large one samples.

A set may have a million examples, and a container 512 MB. So it is read once, and of each example
that no round asks nothing is kept.

Each round draws for itself. Rounds with the same sample would add up how it differs by chance from
the whole set, and take that for a version that has fallen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from random import Random

from prompt_hub.core.exact import stated
from prompt_hub.ledger.detector import FOLLOW_UPS
from prompt_hub.repository.schema import Example

MOST_ASKED = 2000
"""Examples that a round asks at most: the calls that a round may take by default (`gate.budget`).
A run keeps up to five rounds of two versions with all their answers."""


def examples_of_round(part: float, scored: int) -> int:
    """Return how many of so many scored examples a first round asks, which draws a `part`."""
    # As the decimal number that was written: 0.07 of 100 are 7.
    return min(math.ceil(stated(part) * scored), MOST_ASKED)


class RoundSamples:
    """What each round of a run asks, drawn from the scored ones of `examples`."""

    def __init__(self, examples: Iterable[Example], random: Random) -> None:
        """Read the examples to their end, once."""
        self.count = 0
        """Scored examples of the whole set."""
        self.heaviest = 0.0
        """The greatest weight among them."""
        draws = [_Sample(MOST_ASKED, random) for _ in range(1 + FOLLOW_UPS)]
        for example in examples:
            if example.split != "eval":
                continue
            self.count += 1
            self.heaviest = max(self.heaviest, example.weight)
            for draw in draws:
                draw.offer(self.count, example)
        self.rounds: tuple[Sequence[Example], ...] = tuple(draw.kept for draw in draws)
        """The whole set each time, or a sample of it for each round."""

    def all(self) -> Sequence[Example]:
        """Return every example that is in some round, once."""
        return [*{example.id: example for drawn in self.rounds for example in drawn}.values()]


class _Sample:
    """A uniform sample of a stream whose length nobody knows, in which few draws are made.

    Algorithm L of K.-H. Li, "Reservoir-sampling algorithms of time complexity O(n(1+log(N/n)))",
    ACM Transactions on Mathematical Software 20 (1994): the number of those that are passed over
    is drawn, and not one number for each of them.
    """

    def __init__(self, size: int, random: Random) -> None:
        self.kept: list[Example] = []
        self._size = size
        self._random = random
        self._least = 1.0
        """The greatest of so many random numbers, as if each example that is kept had one."""
        self._next = 0

    def offer(self, number: int, example: Example) -> None:
        """Take the example of that number, which rises by 1, or leave it."""
        if number <= self._size:
            self.kept.append(example)
        elif number == self._next:
            self.kept[self._random.randrange(self._size)] = example
        if number == max(self._size, self._next):
            self._least *= math.exp(math.log(self._drawn()) / self._size)
            self._next = number + 1 + int(math.log(self._drawn()) / math.log1p(-self._least))

    def _drawn(self) -> float:
        """Return a random number above 0 and below 1."""
        return self._random.random() or 0.5
