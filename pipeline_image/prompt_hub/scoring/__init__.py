"""How good one answer is, from 0 to 1, and in words what it lost.

The scorers here are pure functions of an answer and an example; one file a family. The judge and
the injection scorer, which call a model, are `evaluation/judge.py` and `scoring/injection.py`;
`evaluation/answer_scoring.py` puts all of them together. `SCORERS_VERSION` moves whenever a scorer
may give another number for the same answer: it is part of every verdict.
"""

from __future__ import annotations

from prompt_hub.scoring.base import NotScored, Part, combine
from prompt_hub.scoring.baseline import majority_baseline
from prompt_hub.scoring.comparison import normalise
from prompt_hub.scoring.registry import PureScorer, apply, compiled

__all__ = [
    "SCORERS_VERSION",
    "NotScored",
    "Part",
    "PureScorer",
    "apply",
    "combine",
    "compiled",
    "majority_baseline",
    "normalise",
]

SCORERS_VERSION = "2"
