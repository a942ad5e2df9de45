"""What the opponents say; run by the Python of their own environment, never imported by ours.

Reads one evaluation a line (`differences`, `weights`, `margin`, `alpha`), writes one line of
verdicts. Each rule passes a candidate whose lower bound of the mean difference is above a loss of
the margin. None of them knows weights: they are given differences whose plain mean is the weighted
one.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from evalsig.inference.sequential import sequential_gate
from scipy import stats

RESAMPLES = 10_000


def bca(values: np.ndarray, margin: float, alpha: float) -> bool:
    """MLflow 3.18.0, `mlflow.genai.evaluation.comparison`: BCa, 10,000 resamples, its fixed seed.

    Constant differences are their own interval. The resamples are drawn as counts of the distinct
    values, which is the same distribution and some ten times faster; `check` compares with scipy.
    """
    low, _ = bca_interval(values, 1 - 2 * alpha)
    return low > -margin


def bca_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    n, mean = len(values), float(values.mean())
    if np.allclose(values, values[0], rtol=1e-9, atol=1e-12):
        return mean, mean
    distinct, counts = np.unique(values, return_counts=True)
    drawn = np.random.default_rng(0).multinomial(n, counts / n, RESAMPLES) @ distinct / n
    percentile = ((drawn < mean).sum() + (drawn <= mean).sum()) / (2 * RESAMPLES)
    bias = stats.norm.ppf(percentile)
    left_out = (n * mean - distinct) / (n - 1)
    away = (counts * left_out).sum() / n - left_out
    acceleration = (counts * away**3).sum() / (6 * (counts * away**2).sum() ** 1.5)

    def bound(tail: float) -> float:
        moved = bias + stats.norm.ppf(tail)
        share = stats.norm.cdf(bias + moved / (1 - acceleration * moved))
        return float(np.percentile(drawn, 100 * share))

    tail = (1 - confidence) / 2
    return bound(tail), bound(1 - tail)


def paired_t(values: np.ndarray, margin: float, alpha: float) -> bool:
    error = values.std(ddof=1) / np.sqrt(len(values))
    return bool(values.mean() - stats.t.ppf(1 - alpha, len(values) - 1) * error >= -margin)


def evalsig(values: np.ndarray, margin: float, alpha: float) -> bool:
    """Its `sequential_gate`, asked whether difference + margin exceeds 0."""
    return bool(sequential_gate(values + margin, alpha=alpha, alternative="greater").stopped)


RULES = {"bca": bca, "paired t": paired_t, "evalsig": evalsig}


def check() -> None:
    """Stop where the resamples by counts do not say what scipy's own bootstrap says."""
    chance = np.random.default_rng(1)
    for _ in range(5):
        values = chance.choice([-1.0, -0.25, 0.0, 1.0], 150, p=[0.1, 0.1, 0.7, 0.1])
        theirs = stats.bootstrap(
            (values,), np.mean, method="BCa", confidence_level=0.8, n_resamples=RESAMPLES, rng=0
        ).confidence_interval
        if not np.allclose(theirs, bca_interval(values, 0.8), atol=0.005):
            raise SystemExit(f"BCa by counts is not scipy's: {theirs}")


def main() -> None:
    check()
    for line in sys.stdin:
        given = json.loads(line)
        weights = np.array(given["weights"])
        values = np.array(given["differences"]) * weights * len(weights) / weights.sum()
        says = {name: rule(values, given["margin"], given["alpha"]) for name, rule in RULES.items()}
        print(json.dumps(says), flush=True)


main()
