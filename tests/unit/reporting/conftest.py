"""Evaluations built once; tests only read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_hub.reporting.evaluation import EvaluationView, read_view
from tests.unit.reporting.evaluations import TASK, Built, Spec, build

Builder = Callable[..., Built]


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Build an evaluation, or give the one that was built for the same specification."""
    kept: dict[Spec, Built] = {}

    def get(**options: object) -> Built:
        spec = Spec(**options)  # type: ignore[arg-type]
        if spec not in kept:
            kept[spec] = build(tmp_path_factory.mktemp("evaluated"), spec)
        return kept[spec]

    return get


def view_of(built: Built) -> EvaluationView:
    """What a report of the evaluation shows."""
    evaluations = built.evaluations
    return read_view(evaluations, evaluations.find(TASK))


@pytest.fixture
def copied(tmp_path: Path) -> Built:
    """A small evaluation of the test's own, free to be changed."""
    return build(tmp_path / "repository", Spec(examples=12))
