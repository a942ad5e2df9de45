"""Whether a version has fallen, and whether its way back is better: evidence over rounds.

Somebody who doubts that a version still reaches its threshold bets against every answer. If the
doubt is unfounded, the capital does not grow on average. A new gambler with capital 1 joins with
every run of the score watch, for nobody knows when a version falls. The sum of all that they own
is a Shiryaev-Roberts e-detector (J. Shin, A. Ramdas and A. Rinaldo, "E-detectors: a nonparametric
framework for sequential change detection", New England Journal of Statistics in Data Science,
2023): after T runs it has reached 1/error with a chance of at most error · T, whatever stopped it.

The null, exactly: given the examples, answers are independent, and the mean over the examples of
what each example's answer is worth *on average* is at least the threshold. The examples need not
be alike: a product of capitals is greatest where they are (the inequality of the arithmetic and
the geometric mean), so a set in which some answers flip and others never do errs less often.

Only sums are kept. Logarithms are concave: of all answers with the same weighted sum, those that
are fully right or fully wrong win the gambler least. The sums alone so give a capital that is never
too large. docs/watch.md says what this costs, and `make bench-watch` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prompt_hub.core.exact import reaches

BETS = (0.03, 0.06, 0.12, 0.25, 0.5, 0.95)
"""Shares of the most that may be staked; the capital is divided equally over them."""
HIGHEST_THRESHOLD = 0.99
"""Of a threshold above it, only a fall below this is shown: no answer may ruin a gambler."""
FOLLOW_UPS = 4
"""Fresh rounds that one suspicious round may bring."""
MINUTES_A_MONTH = 30 * 24 * 60
CONTRACT_SHARE = 0.1
"""Part of the chance of a false rollback that is kept for contracts; the rest is for scores."""
RUNS_A_COMPARISON = 10
"""For so many runs of the schedule, live calls may ask for one more at most."""
RUNS_READ = 100
"""Runs that are looked back on; forgetting older ones only loses capital."""


def error_of_a_run(false_rollbacks: float, every_minutes: int) -> float:
    """Return the chance that a run may add by its scores, for so many false rollbacks a month."""
    runs = MINUTES_A_MONTH / every_minutes * (1 + 1 / RUNS_A_COMPARISON)
    return (1 - CONTRACT_SHARE) * false_rollbacks / runs


def error_of_contracts(error: float) -> float:
    """Return the chance that a run may add by its contracts, beside `error` by its scores."""
    return error * CONTRACT_SHARE / (1 - CONTRACT_SHARE)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one run of the score watch found about one version, in sums.

    Weights are relative to the heaviest example, which counts as 1.
    """

    rounds: int
    """How often the examples were asked in this run."""
    asked: float
    """Sum of the weights of all answers."""
    earned: float
    """Sum of weight times score."""
    error: float
    """Chance of a false rollback that this run may add by its scores."""
    won: float = 0.0
    """Of a control: sum of what it scored more than the active version, answer by answer."""
    lost: float = 0.0
    """Of a control: sum of what it scored less."""
    answers: int = 0
    """How many answers there were; 0 in samples from before contracts were counted."""
    broke: int = 0
    """How many of them broke the prompt's own contract."""
    kept: float = 0.0
    """Of a control: sum of weights where it kept its contract and the active version did not."""
    lapsed: float = 0.0
    """Of a control: sum of weights where it broke its contract and the active version did not."""
    compared: bool = False
    """Whether the run was asked to compare contracts, however far it came; False in samples from
    before that was noted."""

    def to_attributes(self) -> dict[str, object]:
        """Return what the ledger keeps."""
        return {
            "rounds": self.rounds,
            "asked": self.asked,
            "earned": self.earned,
            "error": self.error,
            "won": self.won,
            "lost": self.lost,
            "answers": self.answers,
            "broke": self.broke,
            "kept": self.kept,
            "lapsed": self.lapsed,
            "compared": self.compared,
        }


def evidence_from(item: Mapping[str, object]) -> Evidence:
    """Read back what `to_attributes` wrote; raises `ValueError` for what is no number."""

    def number(name: str, default: object = None) -> float:
        value = item.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(f"expected a number, found {value!r}")
        return value

    def whole(name: str, default: object = None) -> int:
        value = number(name, default)
        if not isinstance(value, int):
            raise ValueError(f"expected a whole number, found {value!r}")
        return value

    return Evidence(
        rounds=whole("rounds"),
        asked=float(number("asked")),
        earned=float(number("earned")),
        error=float(number("error")),
        won=float(number("won")),
        lost=float(number("lost")),
        # Samples from before contracts were counted have none of these.
        answers=whole("answers", 0),
        broke=whole("broke", 0),
        kept=float(number("kept", 0.0)),
        lapsed=float(number("lapsed", 0.0)),
        compared=bool(item.get("compared", False)),
    )


def log_wins_against(evidence: Evidence, threshold: float) -> tuple[float, ...]:
    """Logarithms of what capital 1 becomes by each bet that the mean is below `threshold`."""
    mean = min(threshold, HIGHEST_THRESHOLD)
    if mean <= 0:
        return (-math.inf,) * len(BETS)
    missed = evidence.asked - evidence.earned
    return tuple(
        evidence.earned * math.log1p(-bet) + missed * math.log1p(bet * mean / (1 - mean))
        for bet in BETS
    )


def log_wins_for_control(won: float, lost: float) -> tuple[float, ...]:
    """Logarithms of what capital 1 becomes by each bet that the control is better."""
    return tuple(won * math.log1p(bet) + lost * math.log1p(-bet) for bet in BETS)


@dataclass
class Detector:
    """The capital of all gamblers after the runs added so far."""

    _logs: list[float] = field(default_factory=lambda: [-math.inf] * len(BETS))

    def add(self, wins: Iterable[float]) -> None:
        """Let one more gambler in, then add a run's wins."""
        self._logs = [_log_plus_one(log) + win for log, win in zip(self._logs, wins, strict=True)]

    @property
    def log_capital(self) -> float:
        """Logarithm of what all own together, with a single one's capital divided over the bets."""
        greatest = max(self._logs)
        if math.isinf(greatest):
            return greatest
        total = math.fsum(math.exp(log - greatest) for log in self._logs)
        return greatest + math.log(total / len(BETS))

    def shows(self, error: float) -> bool:
        """Whether the capital is as large as it is by chance with `error` a run at most."""
        return self.log_capital >= math.log(1 / error)


def has_fallen(oldest_first: Iterable[tuple[Evidence, float]], error: float) -> bool:
    """Whether runs, each with the threshold locked with the version, show that it has fallen."""
    detector = Detector()
    for evidence, threshold in oldest_first:
        detector.add(log_wins_against(evidence, threshold))
    return detector.shows(error)


def is_better(oldest_first: Iterable[Evidence], error: float) -> bool:
    """Whether runs of the control show that it is better than the active version."""
    detector = Detector()
    for evidence in oldest_first:
        detector.add(log_wins_for_control(evidence.won, evidence.lost))
    return detector.shows(error)


def keeps_contract_better(oldest_first: Iterable[Evidence], error: float) -> bool:
    """Whether runs of the control show that it keeps its contract where the active version breaks.

    Both answered the same examples in the same minutes. `error` is that of a run's scores.
    """
    detector = Detector()
    for evidence in oldest_first:
        detector.add(log_wins_for_control(evidence.kept, evidence.lapsed))
    return detector.shows(error_of_contracts(error))


def wants_fresh_round(
    active: tuple[Evidence, float], control: tuple[Evidence, float] | None
) -> bool:
    """Whether a run that began with a suspicious round goes on with a fresh one.

    It ends when the pooled answers reach the threshold after all, when this run alone decides (the
    control is better, or has fallen as well), or after `FOLLOW_UPS` fresh rounds.

    Args:
        active: evidence about the active version, and its locked threshold.
        control: the same of its way back; None where it was not measured.
    """
    found, threshold = active
    if found.rounds > FOLLOW_UPS or reaches(found.earned / found.asked, threshold):
        return False
    if control is None or not has_fallen([active], found.error):
        return True
    return not (is_better([control[0]], found.error) or has_fallen([control], found.error))


def wants_comparison(found: Evidence, control: Evidence | None) -> bool:
    """Whether a run that was asked to compare contracts goes on with a fresh round.

    It ends when this run alone shows that the control keeps its own better, or after `FOLLOW_UPS`.
    """
    if found.rounds > FOLLOW_UPS:
        return False
    return control is None or not keeps_contract_better([control], found.error)


def _log_plus_one(log: float) -> float:
    """Return log(1 + exp(`log`)), without an overflow."""
    return log + math.log1p(math.exp(-log)) if log > 0 else math.log1p(math.exp(log))
