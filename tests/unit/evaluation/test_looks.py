"""Which examples are asked when: as few as decide, both arms alike, the same ones every time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from prompt_hub.evaluation.example_results import ArmName, ExampleResult
from prompt_hub.evaluation.looks import SequentialResult, measure_until_decided, shuffled
from prompt_hub.gate.types import Status
from prompt_hub.repository.schema import Example, Gate, Metadata
from tests.unit.evaluation.evidence import examples

BOTH: tuple[ArmName, ...] = ("candidate", "champion")


class Asked:
    """Answers from a function of arm, example and repeat; keeps what was asked."""

    def __init__(self, score: Callable[[ArmName, str, int], float | None]) -> None:
        self._score = score
        self.batches: list[tuple[ArmName, int, tuple[str, ...]]] = []

    async def __call__(
        self, arm: ArmName, asked: Sequence[Example], repeat: int
    ) -> Sequence[ExampleResult]:
        self.batches.append((arm, repeat, tuple(example.id for example in asked)))
        await asyncio.sleep(0)
        scores = {example.id: self._score(arm, example.id, repeat) for example in asked}
        return [
            ExampleResult(
                id=name, score=score, repeat=repeat, error=None if score is not None else "no line"
            )
            for name, score in scores.items()
        ]

    def sizes(self, arm: ArmName = "candidate") -> list[int]:
        """How many examples each look asked an arm."""
        return [len(names) for name, _, names in self.batches if name == arm]


def sequential(
    asked: Asked,
    count: int,
    *,
    arms: Sequence[ArmName] = BOTH,
    sampled: bool = False,
    threshold: float = 0.0,
    **gate: object,
) -> SequentialResult:
    metadata = Metadata.model_validate(
        {
            "schema": "prompt-hub/metadata@1",
            "task": "t",
            "owner": "o",
            "description": "d",
            "version": "1.0.0",
            "candidate": "00-templates/t.yaml",
            "up_to_date": dict.fromkeys(("examples", "input", "output"), "0" * 64),
            "threshold": threshold,
            "scorers": [{"type": "exact"}],
            "gate": Gate.model_validate({"margin": 0.1, "first_look": 32, **gate}).model_dump(),
        }
    )
    return asyncio.run(
        measure_until_decided(examples(count), "0" * 64, metadata, arms, asked, sampled=sampled)
    )


def test_looks_end_as_soon_as_everything_is_decided() -> None:
    asked = Asked(lambda arm, name, repeat: 1.0)
    found = sequential(asked, 1000, margin=0.2)
    assert found.conclusion.status is Status.PASS
    assert asked.sizes() == asked.sizes("champion") == [32]
    assert found.looks == 1


def test_every_look_doubles_what_was_seen_until_the_set_ends() -> None:
    asked = Asked(lambda arm, name, repeat: float(int(name[1:]) % 2 == (arm == "champion")))
    found = sequential(asked, 200)
    assert asked.sizes() == [32, 32, 64, 72]
    assert found.looks == 4
    assert found.conclusion.status is Status.INCONCLUSIVE
    assert len(found.details["candidate"]) == 200


def test_a_hopeless_candidate_is_not_paid_for_to_the_end() -> None:
    asked = Asked(lambda arm, name, repeat: float(arm == "champion"))
    found = sequential(asked, 1000)
    assert found.conclusion.status is Status.BLOCK
    assert asked.sizes() == [32]


def test_both_arms_are_asked_the_same_examples() -> None:
    asked = Asked(lambda arm, name, repeat: float(int(name[1:]) % 3 > 0))
    sequential(asked, 100, margin=0.02)
    by_arm = [[names for name, _, names in asked.batches if name == arm] for arm in BOTH]
    assert by_arm[0] == by_arm[1]


def test_the_order_is_drawn_from_ids_and_set_not_from_the_file() -> None:
    some = examples(50)

    def drawn(given: Sequence[Example], seed: str) -> list[str]:
        return [given[place].id for place in shuffled(given, seed)]

    assert drawn(some, "a") == drawn(some[::-1], "a")
    assert drawn(some, "a") != drawn(some, "b")
    assert drawn(some, "a") != [example.id for example in some]


def test_details_are_kept_in_the_order_of_the_file() -> None:
    asked = Asked(lambda arm, name, repeat: float(repeat % 2))
    found = sequential(asked, 20, sampled=True, repeats=2, margin=0.01)
    kept = [(detail.repeat, detail.id) for detail in found.details["candidate"]]
    assert kept == sorted(kept)
    assert len(kept) == 40


def test_repeats_ask_every_example_again_once_all_are_seen() -> None:
    asked = Asked(lambda arm, name, repeat: 0.5)
    found = sequential(asked, 12, sampled=True, repeats=3)
    assert [repeat for arm, repeat, _ in asked.batches if arm == "candidate"] == [0, 1, 2]
    assert asked.sizes() == [12, 12, 12]
    assert found.conclusion.status is Status.INCONCLUSIVE
    assert asked.sizes() == asked.sizes("champion")


def test_repeats_can_settle_what_one_answer_left_open() -> None:
    """The arms differ at first on many examples, and not at all on average."""

    def score(arm: ArmName, name: str, repeat: int) -> float:
        return float((int(name[1:]) + repeat + (arm == "champion")) % 2)

    once = sequential(Asked(score), 60, margin=0.2)
    twice = sequential(Asked(score), 60, margin=0.2, sampled=True, repeats=2)
    assert once.conclusion.status is Status.INCONCLUSIVE
    assert twice.conclusion.status is Status.PASS
    assert twice.looks == 3


@pytest.mark.parametrize("broken", BOTH)
def test_the_first_hole_ends_the_looks(broken: ArmName) -> None:
    asked = Asked(lambda arm, name, repeat: None if arm == broken and name == "e0003" else 0.5)
    found = sequential(asked, 32, sampled=True, repeats=3)
    assert found.conclusion.status is Status.NOT_MEASURED
    assert found.conclusion.reasons == (f"no line: 1 of 32 answers of the {broken} are missing",)
    assert found.looks == 1


def test_an_empty_set_asks_nobody() -> None:
    asked = Asked(lambda arm, name, repeat: 1.0)
    assert sequential(asked, 0).conclusion.status is Status.NOT_MEASURED
    assert asked.batches == []


def test_without_a_champion_the_threshold_alone_is_looked_at() -> None:
    asked = Asked(lambda arm, name, repeat: 1.0)
    found = sequential(asked, 500, arms=("candidate",), threshold=0.8)
    assert found.conclusion.status is Status.PASS
    assert asked.sizes() == [32]
    close = Asked(lambda arm, name, repeat: float(int(name[1:]) % 10 < 8))
    assert sequential(close, 500, arms=("candidate",), threshold=0.8).looks == 5
