"""Rounds of repeats: who is asked again in them, and what is said of them before the first call."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree

import pytest

from prompt_hub.cli.evaluate import in_words
from prompt_hub.evaluation.cache import ResponseStore
from prompt_hub.evaluation.record import EvaluationRecord
from prompt_hub.evaluation.replay import replay
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.evaluation.store import read_evaluation
from prompt_hub.gate.types import Status
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.response import ModelResponse
from prompt_hub.repository.schema import JsonObject
from tests.unit.building import COMMIT, RepositoryFolder, catalogue_answer
from tests.unit.judging import PROMPT, add_judge, always_five, use_judge
from tests.unit.providers import ALIASES, FunctionProvider

TASK = "part-class"
METADATA = "prompts/03-metadata/part-class.yaml"
EXAMPLES = 6
"""Scored examples of the healthy repository."""
JUDGES = "judge"


def right(messages: list[dict[str, str]]) -> JsonObject:
    """Right, and as a judge content with everything."""
    question = messages[-1]["content"]
    return always_five(question) if question.startswith("JUDGE") else catalogue_answer(messages)


class Provider(FunctionProvider):
    """Counts the calls of each temperature, those of the judge by themselves."""

    def __init__(self) -> None:
        super().__init__(right)
        self.of = Counter[float | str]()

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        """Answer as ever."""
        graded = messages[-1]["content"].startswith("JUDGE")
        self.of[JUDGES if graded else parameters["temperature"]] += 1
        return await super().complete(model, messages, parameters, schema)


class Evaluation:
    """An evaluation that stays open: the champion is greedy, the candidate may be sampled."""

    def __init__(
        self,
        folder: RepositoryFolder,
        *,
        gate: str = "margin: 0.01, confidence: 0.9, repeats: 3",
        candidate: float = 0.7,
    ) -> None:
        folder.edit(METADATA, "gate: {margin: 0.5, confidence: 0.9}", f"gate: {{{gate}}}")
        template = "prompts/00-templates/part-class.yaml"
        folder.edit(template, "temperature: 0,", f"temperature: {candidate:g},")
        self.provider = Provider()
        self.said: list[str] = []
        self._folder = folder

    def run(self) -> EvaluationRecord:
        """Evaluate, with a store of answers."""
        store = ResponseStore(self._folder.root / "responses")
        evaluator = Evaluator(
            self._folder.repository,
            ModelClient(ALIASES, self.provider),
            FolderResults(self._results),
            execution="e",
            commit=COMMIT,
            store=store,
            say=self.said.append,
        )
        record = asyncio.run(evaluator.evaluate(TASK))
        store.close()
        return record

    def replayed(self) -> EvaluationRecord:
        """The record made again from its answers."""
        stored = read_evaluation(self._results / "evaluations/e/part-class.json")
        return replay(self._folder.repository, stored).record

    @property
    def _results(self) -> Path:
        return self._folder.root / "results"


def test_what_always_says_the_same_is_not_asked_again(healthy: RepositoryFolder) -> None:
    evaluation = Evaluation(healthy)
    record = evaluation.run()
    assert record.verdict.status is Status.INCONCLUSIVE
    assert evaluation.provider.of == {0: EXAMPLES, 0.7: 3 * EXAMPLES}
    # Its answer stands for it in each round, so that the comparison is as it was.
    assert record.champion is not None
    assert record.candidate is not None
    assert (record.champion.repeats, record.candidate.repeats) == (3, 3)
    assert evaluation.replayed() == record
    # The record has what each round would cost; it is paid once.
    price = {"usd": 0.9}
    assert record.champion.model_copy(update=price).usd_paid == pytest.approx(0.3)
    assert record.candidate.model_copy(update=price).usd_paid == pytest.approx(0.9)
    rmtree(healthy.root / "results/verdicts")
    again = evaluation.run()
    assert evaluation.provider.of == {0: EXAMPLES, 0.7: 3 * EXAMPLES}
    candidate, champion = in_words(again).splitlines()[1:3]
    assert candidate.endswith("18 answers stored by an earlier run")
    assert champion.endswith(" 6 answers stored by an earlier run")


def test_votes_on_an_answer_that_stays_the_same_are_drawn_anew(healthy: RepositoryFolder) -> None:
    add_judge(healthy)
    use_judge(healthy)

    evaluation = Evaluation(healthy)
    evaluation.run()
    assert evaluation.provider.of[0] == EXAMPLES
    # Both arms answer alike, and so share the three votes of each round.
    assert evaluation.provider.of[JUDGES] == 3 * 3 * EXAMPLES


# Once both arms are asked everything; twice more the sampled candidate alone.
ROUNDS = "; up to 24 calls in 3 rounds, if the comparison stays open (gate.repeats)"


@pytest.mark.parametrize(("calls", "enough"), [(24, True), (23, False)])
def test_what_is_asked_in_further_rounds_is_said_before_the_first_call(
    healthy: RepositoryFolder, calls: int, *, enough: bool
) -> None:
    gate = f"margin: 0.01, confidence: 0.9, repeats: 3, budget: {{calls: {calls}}}"
    evaluation = Evaluation(healthy, gate=gate)
    record = evaluation.run()
    before = evaluation.said[0]
    assert before.startswith("part-class: up to 12 calls, about ")
    assert before.endswith(ROUNDS)
    assert ("which will not do for all of it)" in before) is not enough
    assert (record.verdict.status is Status.INCONCLUSIVE) is enough


@pytest.mark.parametrize(
    ("temperature", "once", "most"),
    [
        # 12 answers with 3 votes each; then in each of two rounds 6 answers, and 36 votes on 12.
        (0.7, 12 + 3 * 12, 48 + 2 * (6 + 36)),
        # One vote each, and a new one on the 6 answers of a round that may be others.
        (0, 12 + 12, 24 + 2 * (6 + 6)),
    ],
)
def test_votes_of_further_rounds_are_said(
    healthy: RepositoryFolder, temperature: float, once: int, most: int
) -> None:
    judge = PROMPT.replace("temperature: 0.7", f"temperature: {temperature:g}")
    add_judge(healthy, prompt=judge)
    use_judge(healthy)
    evaluation = Evaluation(healthy)
    evaluation.run()
    (before,) = (line for line in evaluation.said if "up to" in line)
    assert f"up to {once} calls, about " in before
    assert f"; up to {most} calls in 3 rounds" in before


@pytest.mark.parametrize(
    ("gate", "candidate"),
    [("margin: 0.01, confidence: 0.9", 0.7), ("margin: 0.01, confidence: 0.9, repeats: 3", 0)],
)
def test_no_rounds_are_said_where_there_is_one(
    healthy: RepositoryFolder, gate: str, candidate: float
) -> None:
    evaluation = Evaluation(healthy, gate=gate, candidate=candidate)
    evaluation.run()
    assert evaluation.said[0].endswith("3600 s)")
    assert sum(evaluation.provider.of.values()) == 2 * EXAMPLES


def test_no_rounds_are_said_without_a_champion(healthy: RepositoryFolder) -> None:
    # It does not take these examples, so that no comparison stays open.
    healthy.rename_field("title", "name")
    healthy.stamp(TASK)
    evaluation = Evaluation(healthy)
    evaluation.run()
    assert evaluation.said[0].startswith("part-class: up to 6 calls")
    assert evaluation.said[0].endswith("3600 s)")
