"""How good one answer is, from 0 to 1, and in words what it lost.

One file a scorer type in `scorers/`: its settings, its scorer, its rules and its words;
`registry.py` finds them. Most are pure functions of an answer and an example. The judge and the
attacks call a model, which `evaluation/judge.py` and `evaluation/answer_scoring.py` do.
`SCORERS_VERSION` moves whenever a scorer may give another number for the same answer: it is part
of every verdict.
"""

from __future__ import annotations

from prompt_hub.scoring.base import NotScoredError, PureScorer, ScorerResult, weighted_mean
from prompt_hub.scoring.baseline import majority_baseline
from prompt_hub.scoring.comparison import normalise
from prompt_hub.scoring.metadata import ScoringMetadata, read_metadata
from prompt_hub.scoring.registry import Scorer, build_scorers, score_answer

__all__ = [
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

SCORERS_VERSION = "2"
