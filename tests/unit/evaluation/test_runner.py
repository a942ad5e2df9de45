"""A measurement within a budget: stored answers, holes, budgets, outages, a faulty provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from prompt_hub.evaluation.answer_sums import sums_of
from prompt_hub.evaluation.budgeted_client import GIVE_UP_AFTER, BudgetedClient, Estimate, Workload
from prompt_hub.evaluation.cache import ResponseStore
from prompt_hub.evaluation.example_results import Result, scores_of
from prompt_hub.evaluation.measure import Measurement, measure
from prompt_hub.evaluation.record import Arm, EvaluationRecord
from prompt_hub.evaluation.results import FolderResults
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.evaluation.summary import arm_of
from prompt_hub.gate.types import GateSet
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.llm.response import Answer
from prompt_hub.llm.retry import Retries
from prompt_hub.repository.schema import Budget, Example, Prompt
from prompt_hub.scoring.metadata import ScoringMetadata, read_metadata
from tests.unit.building import COMMIT, RepositoryFolder, catalogue_answer
from tests.unit.evaluation.faulty_provider import (
    TOKENS,
    FaultyProvider,
    faulty_provider,
    part_class,
)
from tests.unit.providers import FunctionProvider

AT_ONCE = Retries(first=0.001)


@pytest.fixture
def prompt(healthy: RepositoryFolder) -> Prompt:
    return healthy.repository.candidate("part-class")


@pytest.fixture
def metadata(healthy: RepositoryFolder) -> ScoringMetadata:
    return read_metadata(healthy.repository, "part-class")


def examples(count: int) -> list[Example]:
    return [
        Example(
            id=f"part-{number}",
            input={"part_number": f"P{number}", "title": "Resistor"},
            expected={"part_class": "resistor"},
        )
        for number in range(count)
    ]


def sampled(prompt: Prompt) -> Prompt:
    """The prompt at a temperature at which another call may bring another answer."""
    parameters = {**prompt.model.parameters, "temperature": 0.7}
    model = prompt.model.model_copy(update={"parameters": parameters})
    return prompt.model_copy(update={"model": model})


@dataclass(frozen=True)
class Measured:
    """What a run brought, and what it sums up to."""

    details: Sequence[Result]
    arm: Arm

    @property
    def problems(self) -> tuple[str, ...]:
        """Why answers are missing."""
        return tuple(sums_of(self.details).missing("this run"))


class Session:
    """One run after the other on the same store, as processes would do it."""

    def __init__(self, prompt: Prompt, metadata: ScoringMetadata, folder: Path) -> None:
        self.prompt = prompt
        self.metadata = metadata
        self.folder = folder

    def run(
        self,
        make_caller: Callable[[], ModelClient],
        count: int = 40,
        *,
        repeat: int = 0,
        fresh: bool = False,
        stored: bool = True,
        budget: Budget | None = None,
    ) -> Measured:
        async def main() -> Measurement:
            store = ResponseStore(self.folder, fresh=fresh) if stored else None
            async with make_caller() as caller:
                budgeted = BudgetedClient(caller, budget=budget, seconds_per_call=5, store=store)
                measured = await measure(
                    self.prompt, examples(count), self.metadata, budgeted, repeat=repeat
                )
            if store is not None:
                store.close()
            return measured

        measured = asyncio.run(main())
        scores = scores_of(measured.details, examples(count))
        whole = GateSet.of(examples(count))
        arm = arm_of(self.prompt, measured.info, sums_of(measured.details), whole, scores, 0.9)
        return Measured(measured.details, arm)


@pytest.fixture
def session(prompt: Prompt, metadata: ScoringMetadata, tmp_path: Path) -> Session:
    return Session(prompt, metadata, tmp_path / "responses")


def asked_twice(
    session: Session, provider: FunctionProvider, *, cancel: bool = False, stored: bool = True
) -> list[str | BaseException]:
    """What two that ask the same at the same time are told; the first may `cancel` its call."""
    fields = examples(1)[0].input

    async def main() -> list[Answer | BaseException]:
        store = ResponseStore(session.folder) if stored else None
        budgeted = BudgetedClient(provider.caller(), store=store)
        asked = [asyncio.create_task(budgeted.ask(session.prompt, fields)) for _ in range(2)]
        while cancel and not provider.calls:
            await asyncio.sleep(0)
        if cancel:
            asked[0].cancel()
        told = await asyncio.gather(*asked, return_exceptions=True)
        if store is not None:
            store.close()
        return told

    return [
        told.response.text if isinstance(told, Answer) else told for told in asyncio.run(main())
    ]


def on(provider: FaultyProvider, concurrency: int = 16) -> Callable[[], ModelClient]:
    aliases = ModelAliases.parse(provider.models)
    return lambda: ModelClient(aliases, concurrency=concurrency, retries=AT_ONCE)


def test_nothing_is_lost_and_nothing_paid_twice_on_a_provider_that_fails_in_every_way(
    session: Session,
) -> None:
    with faulty_provider(faults=0.03) as provider:
        measured = session.run(on(provider), 300)
    assert set(provider.failed) == {"busy", "broken", "hangs up", "malformed", "cut off"}
    assert measured.arm.unmeasured == 0
    assert [detail.id for detail in measured.details] == [item.id for item in examples(300)]
    assert sum(provider.answered.values()) == len(provider.answered) == 300
    assert measured.arm.tokens_in == 300 * TOKENS[0]
    assert measured.arm.usd == pytest.approx(300 * (TOKENS[0] + 2 * TOKENS[1]) / 1e6)
    assert (
        sum(detail.usage.attempts for detail in measured.details if detail.usage)
        == provider.requests
    )
    for example, detail in zip(examples(300), measured.details, strict=True):
        asked = next(q for q in provider.answered if f"{example.input['part_number']}\n" in q)
        assert detail.answer is not None
        assert part_class(asked) in detail.answer


def test_no_more_calls_are_in_flight_than_allowed(session: Session) -> None:
    with faulty_provider(delay=0.01) as provider:
        session.run(on(provider, concurrency=7), 60)
    assert provider.most_at_once == 7


def test_a_second_run_asks_nothing_and_finds_the_same_totals(session: Session) -> None:
    with faulty_provider() as provider:
        first = session.run(on(provider))
        second = session.run(on(provider))
    assert provider.requests == 40
    assert (first.arm.cached, second.arm.cached) == (0, 40)
    assert second.arm == first.arm.model_copy(update={"cached": 40, "seconds": second.arm.seconds})


def test_what_this_run_has_asked_itself_is_not_an_earlier_runs_answer(session: Session) -> None:
    provider = FunctionProvider(lambda messages: {"part_class": "resistor"})
    fields = examples(1)[0].input

    async def twice() -> list[bool]:
        store = ResponseStore(session.folder)
        budgeted = BudgetedClient(provider.caller(), store=store)
        answers = [await budgeted.ask(session.prompt, fields) for _ in range(2)]
        store.close()
        return [answer.cached for answer in answers]

    assert asyncio.run(twice()) == [False, False]
    assert asyncio.run(twice()) == [True, True]
    assert provider.calls == 1


def test_a_repeat_is_a_call_of_its_own_and_stored_as_one(session: Session) -> None:
    session.prompt = sampled(session.prompt)
    with faulty_provider() as provider:
        session.run(on(provider))
        session.run(on(provider), repeat=1)
        assert provider.requests == 80
        again = session.run(on(provider), repeat=1)
        assert provider.requests == 80
    assert {detail.repeat for detail in again.details} == {1}


def test_what_two_ask_at_the_same_time_is_paid_for_once(session: Session) -> None:
    provider = FunctionProvider(lambda _: f"answer {provider.calls}")
    assert asked_twice(session, provider) == ["answer 1", "answer 1"]
    assert provider.calls == 1


def test_where_one_of_two_gets_no_answer_the_other_asks_for_itself(session: Session) -> None:
    provider = FunctionProvider(lambda _: None if provider.calls == 1 else "an answer")
    failed, answered = asked_twice(session, provider)
    assert isinstance(failed, ModelUnavailableError)
    assert (answered, provider.calls) == ("an answer", 2)


def test_where_one_of_two_is_cancelled_the_other_asks_for_itself(session: Session) -> None:
    provider = FunctionProvider(lambda _: "an answer")
    cancelled, answered = asked_twice(session, provider, cancel=True)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert (answered, provider.calls) == ("an answer", 2)


def test_a_run_without_a_store_asks_each_time(session: Session) -> None:
    provider = FunctionProvider(lambda _: f"answer {provider.calls}")
    asked_twice(session, provider, stored=False)
    assert provider.calls == 2


def test_a_fresh_run_asks_again_and_a_run_without_a_store_leaves_no_trace(
    session: Session,
) -> None:
    with faulty_provider() as provider:
        session.run(on(provider), stored=False)
        assert not session.folder.exists()
        session.run(on(provider))
        session.run(on(provider), fresh=True)
    assert provider.requests == 120


def test_a_hole_is_not_a_zero_and_the_next_run_pays_for_it_alone(session: Session) -> None:
    def moody(messages: list[dict[str, str]]) -> dict[str, str] | None:
        return None if "P7\n" in messages[-1]["content"] else {"part_class": "resistor"}

    first = session.run(FunctionProvider(moody).caller)  # type: ignore[arg-type]
    assert first.arm.score is None
    assert (first.arm.n, first.arm.unmeasured) == (39, 1)
    (problem,) = first.problems
    assert problem.endswith("1 of 40 answers of this run are missing")
    healed = FunctionProvider(lambda _: {"part_class": "resistor"})
    second = session.run(healed.caller)
    assert second.arm.score == 1.0
    assert healed.calls == 1


def test_an_outage_ends_a_run_early_and_what_is_stored_still_counts(session: Session) -> None:
    answers = FunctionProvider(lambda _: {"part_class": "resistor"})
    session.run(answers.caller, 20)
    away = FunctionProvider(lambda _: None)
    measured = session.run(away.caller, 200)
    assert measured.arm.n == 20
    assert measured.arm.unmeasured == 180
    # Those in flight when it was noticed are asked, too.
    assert GIVE_UP_AFTER <= away.calls <= GIVE_UP_AFTER + 64


def test_a_budget_says_what_is_missing_and_a_larger_one_goes_on_from_there(
    session: Session,
) -> None:
    with faulty_provider() as provider:
        short = session.run(on(provider), budget=Budget(calls=30))
        assert provider.requests == 30
        assert short.arm.score is None
        (problem,) = short.problems
        assert problem.startswith("the budget of 30 calls is used up: 10 of 40 answers")
        whole = session.run(on(provider), budget=Budget(calls=30))
        assert provider.requests == 40
    assert whole.arm.n == 40


def test_when_the_time_is_up_nobody_waits_for_a_rate_limit_any_more(session: Session) -> None:
    with faulty_provider() as provider:
        setting = json.loads(provider.models)
        setting["catalogue-pinned"]["requests_per_minute"] = 60  # ten at once, then one a second
        aliases = ModelAliases.parse(json.dumps(setting))
        measured = session.run(lambda: ModelClient(aliases), budget=Budget(seconds=0.4))
    assert measured.arm.n == provider.requests == 10
    assert measured.arm.seconds < 2
    (problem,) = measured.problems
    assert problem.startswith("the budget of 0.4 seconds is used up: 30 of 40 answers")


def test_numbers_of_an_estimate_are_written_alike() -> None:
    estimate = Estimate(calls=4000, cached=1936, tokens=97012, usd=0.0291)
    words = "4,000 calls, 1,936 of them answered before, about 97,012 tokens, about $0.0291 ("
    assert estimate.in_words(Budget()).startswith(words)


def test_a_budget_of_money_is_not_overshot_by_calls_in_flight(session: Session) -> None:
    budget = Budget(usd=0.001)
    with faulty_provider(delay=0.005) as provider:
        measured = session.run(on(provider, concurrency=32), 200, budget=budget)
    assert measured.arm.usd is not None
    assert 0 < measured.arm.n < 200
    # Every call is reserved at the most it may cost, so the last dollars are not used up.
    assert measured.arm.usd <= budget.usd


def test_calls_that_wait_are_reserved_at_what_the_first_answers_have_told(session: Session) -> None:
    # 47 tokens each of them takes; before an answer has told, 409 are set aside for one.
    with faulty_provider(delay=0.005) as provider:
        measured = session.run(on(provider), 40, budget=Budget(tokens=2000))
    assert (measured.arm.n, measured.problems) == (40, ())


def test_an_estimate_says_what_is_stored_and_what_the_rest_will_cost(
    session: Session,
) -> None:
    session.prompt = sampled(session.prompt)
    with faulty_provider() as provider:
        session.run(on(provider), 30)
        store = ResponseStore(session.folder)
        budgeted = BudgetedClient(on(provider)(), store=store)
        questions = [example.input for example in examples(40)]
        estimate = budgeted.estimate(
            [Workload(prompt=session.prompt, questions=questions, repeats=2)]
        )
        store.close()
    assert provider.requests == 30
    assert (estimate.calls, estimate.cached) == (80, 30)
    assert estimate.tokens == pytest.approx(50 * sum(TOKENS), rel=0.05)
    assert estimate.usd == pytest.approx(50 * (TOKENS[0] + 2 * TOKENS[1]) / 1e6, rel=0.05)
    words = estimate.in_words(Budget())
    assert words.startswith("80 calls, 30 of them answered before, about 2,3")
    assert "(budget: 2,000 calls, 10,000,000 tokens, $5, 3600 s)" in words
    assert "which will not do for all of it)" in estimate.in_words(Budget(calls=49))


def test_a_fresh_evaluation_neither_remembers_a_verdict_nor_uses_what_is_stored(
    healthy: RepositoryFolder, tmp_path: Path
) -> None:
    provider = FunctionProvider(catalogue_answer)

    def evaluate(*, fresh: bool) -> EvaluationRecord:
        store = ResponseStore(tmp_path / "responses", fresh=fresh)
        evaluator = Evaluator(
            healthy.repository,
            provider.caller(),
            FolderResults(tmp_path / "results"),
            execution="e",
            commit=COMMIT,
            store=store,
            fresh=fresh,
            say=lambda line: None,
        )
        return asyncio.run(evaluator.evaluate("part-class"))

    first = evaluate(fresh=False)
    assert provider.calls == 12
    assert evaluate(fresh=False).remembered
    assert provider.calls == 12
    again = evaluate(fresh=True)
    assert not again.remembered
    assert provider.calls == 24
    assert again.verdict == first.verdict


def test_progress_is_told_of_every_example(
    prompt: Prompt, metadata: ScoringMetadata, tmp_path: Path
) -> None:
    message: list[tuple[int, int]] = []

    async def main() -> None:
        budgeted = BudgetedClient(FunctionProvider(lambda _: {"part_class": "resistor"}).caller())
        await measure(
            prompt, examples(5), metadata, budgeted, progress=lambda *now: message.append(now)
        )

    asyncio.run(main())
    assert message == [(done, 5) for done in range(1, 6)]
