"""How good one answer is, from 0 to 1, and in words what it lost.

The scorers here are pure functions of an answer and an example; one file a family. The judge and
the injection scorer, which call a model, are `evaluation/judge.py` and `scoring/injection.py`;
`evaluation/answer_scoring.py` puts all of them together. `SCORERS_VERSION` moves whenever a scorer
may give another number for the same answer: it is part of every verdict.
"""

from __future__ import annotations

from prompt_hub.scoring.base import NotScoredError, ScorerResult, weighted_mean
from prompt_hub.scoring.baseline import majority_baseline
from prompt_hub.scoring.comparison import normalise
from prompt_hub.scoring.registry import PureScorer, build_scorers, score_answer

__all__ = [
    "SCORERS_VERSION",
    "NotScoredError",
    "PureScorer",
    "ScorerResult",
    "build_scorers",
    "majority_baseline",
    "normalise",
    "score_answer",
    "weighted_mean",
]

SCORERS_VERSION = "2"
