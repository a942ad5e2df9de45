"""The loader's errors where a pool of processes renders: they must reach who waits for them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_hub import loader
from prompt_hub.core.errors import PromptHubError
from prompt_hub.loader import (
    InvalidAnswerError,
    InvalidFieldsError,
    Prompts,
    RenderError,
    UnservedTaskError,
)
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.loader.loading import TASK, follow


def _unrenderable(prompts: Prompts) -> None:
    raise RenderError("the user message cannot be rendered.", hint="Mend the template.")


RAISED: dict[type[PromptHubError], Callable[[Prompts], object]] = {
    InvalidFieldsError: lambda prompts: prompts[TASK].render({"part_number": "x"}),
    InvalidAnswerError: lambda prompts: prompts[TASK].parse("resistor"),
    RenderError: _unrenderable,
    UnservedTaskError: lambda prompts: prompts["brnad"],
}


def test_every_public_error_is_tried() -> None:
    public = [getattr(loader, name) for name in loader.__all__ if name.endswith("Error")]
    assert set(RAISED) == set(public)


@pytest.mark.parametrize("kind", RAISED, ids=lambda kind: kind.__name__)
def test_an_error_reaches_another_process_whole(
    built: Path, ledger: FakeLedger, kind: type[PromptHubError]
) -> None:
    with follow(built, ledger) as prompts, pytest.raises(kind) as caught:
        RAISED[kind](prompts)
    rebuilt = pickle.loads(pickle.dumps(caught.value))
    assert type(rebuilt) is kind
    assert (str(rebuilt), rebuilt.args) == (str(caught.value), caught.value.args)
    assert rebuilt.__dict__ == caught.value.__dict__
