"""Which examples are measured when, until the gate needs no more.

The same loop runs where answers are paid for and where `prompt-hub replay` takes them from the
details of a record, so that both come to the same verdict or say why not.
"""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from prompt_hub.core.wording import count
from prompt_hub.evaluation.answer_sums import SummedResults
from prompt_hub.evaluation.example_results import ArmName, Result
from prompt_hub.evaluation.look_results import LookResults
from prompt_hub.gate.rules import GATE_VERSION, GateVersion, decide
from prompt_hub.gate.types import Conclusion, Evidence, GateSet
from prompt_hub.repository.many_examples import ExampleFacts, facts_of, pick
from prompt_hub.repository.schema import Example, Metadata

Prepare = Callable[[Sequence[Example], int], Awaitable[None]]
"""Gets answers about examples that were asked so often before, for whoever asks for them next."""
AskArm = Callable[[ArmName, Sequence[Example], int], Awaitable[Sequence[Result]]]
"""Answers and scores of an arm on examples that were asked so often before."""


@dataclass(frozen=True)
class SequentialResult:
    """The conclusion after the last look, and what it rests on.

    `details` are in the order of the examples' file, a round of repeats after the other; `evidence`
    is None where nothing was to be measured.
    """

    conclusion: Conclusion
    looks: int = 0
    details: Mapping[ArmName, SummedResults] = field(default_factory=dict)
    evidence: Evidence | None = None


def shuffled(units: Sequence[ExampleFacts | Example], examples_sha256: str) -> Sequence[int]:
    """Return the places of examples in an order that depends on ids and seed alone."""

    def drawn(place: int) -> bytes:
        return hashlib.sha256(f"{examples_sha256}:{units[place].id}".encode()).digest()

    # A part at a time: what a million places are sorted by takes 100 MB.
    parts = [array("I") for _ in range(256)]
    for place in range(len(units)):
        parts[drawn(place)[0]].append(place)
    order = array("I")
    for part in parts:
        order.extend(sorted(part, key=drawn))
    return memoryview(order)  # whose parts are no copies


def look_sizes(examples: int, first_look: int) -> Iterator[int]:
    """Yield how many examples each look measures, until all were seen once."""
    seen = 0
    while seen < examples:
        size = min(max(first_look, 2 * seen), examples) - seen
        yield size
        seen += size


async def _unprepared(examples: Sequence[Example], repeat: int) -> None:
    """Prepare nothing: each question is asked when its turn comes."""


async def measure_until_decided(
    examples: Sequence[Example],
    examples_sha256: str,
    metadata: Metadata,
    arms: Sequence[ArmName],
    ask: AskArm,
    *,
    sampled: bool,
    gate_version: GateVersion = GATE_VERSION,
    prepare: Prepare = _unprepared,
    say: Callable[[str], None] = lambda line: None,
) -> SequentialResult:
    """Look until the verdict is final.

    The first look measures `gate.first_look` examples, each later one doubles their number; once
    all are seen each further one asks every example again.

    Args:
        examples: the examples to score, in the order of their file.
        examples_sha256: hash of their set, from which their order is drawn.
        metadata: threshold, gate and limits.
        arms: the candidate, and the champion where there is one; they are asked side by side.
        ask: how answers are come by.
        sampled: whether asking again can give another answer.
        gate_version: the gate that decides.
        prepare: told what a look will ask, before it asks.
        say: told after a look that decides nothing.
    """
    units = facts_of(examples)
    places = shuffled(units, examples_sha256)
    order = pick(examples, places)
    whole = GateSet.of(units)
    results = {arm: LookResults(len(whole)) for arm in arms}
    seen, repeat, looks = 0, 0, 0
    while True:
        looks += 1
        upto = max(metadata.gate.first_look, 2 * seen) if repeat == 0 else len(order)
        batch = order[seen:upto]
        await prepare(batch, repeat)
        answered = await asyncio.gather(*(ask(arm, batch, repeat) for arm in arms if batch))
        for arm, answers in zip(arms, answered, strict=bool(batch)):
            results[arm].add(repeat, places[seen:upto], answers)
        seen = min(upto, len(order))
        evidence = _evidence(whole, results, sampled)
        conclusion = decide(
            evidence,
            threshold=metadata.threshold,
            gate=metadata.gate,
            limits=metadata.limits,
            version=gate_version,
        )
        if conclusion.more is None:
            break
        say(f"look {looks}, {seen:,} of {count(len(order), 'example')}: not decided yet")
        match conclusion.more:
            case "examples":
                pass
            case "repeats":
                seen, repeat = 0, repeat + 1
            case _:
                assert_never(conclusion.more)
    in_file_order = {arm: found.in_file_order() for arm, found in results.items()}
    return SequentialResult(conclusion, looks, in_file_order, evidence)


def _evidence(examples: GateSet, results: Mapping[ArmName, LookResults], sampled: bool) -> Evidence:
    candidate, champion = results["candidate"], results.get("champion")
    sums = candidate.sums
    return Evidence(
        examples=examples,
        candidate=candidate.scores,
        champion=champion.scores if champion else None,
        sampled=sampled,
        usd_per_call=sums.usd_per_call,
        seconds_p95=sums.latency(0.95),
        untimed=sums.untimed,
        missing=tuple(
            words for arm, found in results.items() for words in found.sums.missing(f"the {arm}")
        ),
    )
