"""How good one answer is, from 0 to 1, and in words what it lost.

One file a scorer type in `scorers/`: its settings, its scorer, its rules and its words;
`registry.py` finds them. Most are pure functions of an answer and an example. The judge and the
attacks call a model, which `evaluation/judge.py` and `evaluation/answer_scoring.py` do.
`SCORERS_VERSION` moves whenever a scorer may give another number for the same answer: it is part
of every verdict, and `SCORERS_CHANGED` says in words what moved it.
"""

from __future__ import annotations

from prompt_hub.scoring.base import NotScoredError, PureScorer, ScorerResult, weighted_mean
from prompt_hub.scoring.baseline import majority_baseline
from prompt_hub.scoring.metadata import ScoringMetadata, read_metadata
from prompt_hub.scoring.registry import Scorer, build_scorers, score_answer
from prompt_hub.scoring.text_forms import normalise

__all__ = [
    "EVERY_EXAMPLE_ATTACKED",
    "SCORERS_CHANGED",
    "SCORERS_VERSION",
    "NotScoredError",
    "PureScorer",
    "Scorer",
    "ScorerResult",
    "ScoringMetadata",
    "build_scorers",
    "majority_baseline",
    "normalise",
    "read_metadata",
    "score_answer",
    "weighted_mean",
]

SCORERS_VERSION = "5"

SCORERS_CHANGED = {
    "2": "since 3, a superscript, a subscript, a fraction or an enclosed digit in a text is no"
    " longer the same as plain digits (10³ was 103)",
    "3": "since 4, `partial` charges nothing for a field that no element of an expected list has",
    "4": "since 5, `quantity` reads N as nano where the field's unit is not newton (100N, 4N7), and"
    " U in the place of the decimal point (4U7); `injection` orders a wrong answer that fits the"
    " output, and keeps limits of the input that are referred to",
}
"""Earlier versions, and what answers they scored otherwise.

Where an answer is none of those, its score is the same by both: such a record is made again as it
is, under the version that it names.
"""

EVERY_EXAMPLE_ATTACKED = frozenset(("2", "3"))
"""Earlier versions whose majority guess counts every example as attacked."""
