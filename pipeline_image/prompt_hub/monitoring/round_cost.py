"""What a round costs, from what its first answers did, while the rest is not yet paid for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prompt_hub.core.wording import amount, count
from prompt_hub.evaluation.budget import BudgetTracker
from prompt_hub.repository.schema import Budget

SHOWN_BY = 20
"""Examples whose answers show what a round costs; of fewer, chance says too much."""
_STANDARD_ERRORS = 3
"""So far may what a round seems to take lie above what it takes: a round that fits must not end."""


@dataclass
class _Outlook:
    """What a round will take of one thing, such as tokens."""

    spent: float = 0.0
    squares: float = 0.0

    def learn(self, spent: float) -> None:
        """Take note of what is spent when another example is done."""
        self.squares += (spent - self.spent) ** 2
        self.spent = spent

    def excess(self, done: int) -> float:
        """Return what the examples that are done may have taken above so many others."""
        variance = max(0.0, self.squares / done - (self.spent / done) ** 2)
        return _STANDARD_ERRORS * math.sqrt(variance * done)


class RoundCost:
    """Compares a round that goes on, its examples in random order, with its budget."""

    def __init__(self, tracker: BudgetTracker, budget: Budget, *, in_hand: int) -> None:
        """Begin before the first call.

        Args:
            tracker: what is spent of the budget.
            budget: what may be spent.
            in_hand: examples that are asked at once, where one may take several calls; else 0.
        """
        self._tracker, self._budget = tracker, budget
        self._in_hand = in_hand
        self._tokens, self._usd = _Outlook(), _Outlook()

    def beyond(self, done: int, total: int) -> str:
        """Say what the round takes, and which limit that is beyond; empty if none, as far as known.

        It is asked after every example.
        """
        tracker, budget = self._tracker, self._budget
        self._tokens.learn(tracker.tokens)
        self._usd.learn(tracker.usd)
        if not SHOWN_BY <= done < total:
            return ""
        # What was paid for examples in hand is at most what they take.
        times = total / min(total, done + self._in_hand)
        if times * (tracker.tokens - self._tokens.excess(done)) > budget.tokens:
            whole = count(round(times * tracker.tokens), "token")
            return f"{whole}, gate.budget.tokens allows {budget.tokens:,}"
        if times * (tracker.usd - self._usd.excess(done)) > budget.usd:
            whole = amount(times * tracker.usd, budget.usd)
            return f"${whole}, gate.budget.usd allows ${amount(budget.usd)}"
        return ""
