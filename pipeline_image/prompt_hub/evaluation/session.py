"""The evaluation of one task: candidate and champion measured, a verdict, a record."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import overload

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.core.wording import count
from prompt_hub.evaluation.answer_scoring import Scoring
from prompt_hub.evaluation.answer_sums import sums_of
from prompt_hub.evaluation.budgeted_client import BudgetedClient, Estimate, Workload
from prompt_hub.evaluation.builder import Provenance, build_record, lines_of, unchanged
from prompt_hub.evaluation.cache import ResponseStore
from prompt_hub.evaluation.calibration import Calibration, calibration_of, judging
from prompt_hub.evaluation.example_results import ArmName, Result
from prompt_hub.evaluation.inputs import Inputs
from prompt_hub.evaluation.judge import votes_of
from prompt_hub.evaluation.large_details import put_details
from prompt_hub.evaluation.looks import SequentialResult, look_sizes, measure_until_decided
from prompt_hub.evaluation.measure import measure
from prompt_hub.evaluation.prefetch import BatchPrefetcher
from prompt_hub.evaluation.progress import Progress
from prompt_hub.evaluation.record import EvaluationRecord, Judging
from prompt_hub.evaluation.results import Results
from prompt_hub.evaluation.store import Evaluation, remembered_evaluation
from prompt_hub.evaluation.summary import MeasurementInfo
from prompt_hub.gate.rules import costs_too_much
from prompt_hub.gate.types import Conclusion, Status
from prompt_hub.llm.client import ModelClient
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import Registry
from prompt_hub.repository.schema import Example, JsonObject, Prompt


class Evaluator:
    """Evaluates tasks of one repository and keeps the records."""

    def __init__(
        self,
        repository: PromptRepository,
        client: ModelClient,
        results: Results,
        *,
        execution: str,
        commit: str,
        store: ResponseStore | None = None,
        fresh: bool = False,
        in_batches: bool = False,
        say: Callable[[str], None] = print,
    ) -> None:
        """Make an evaluator.

        A `fresh` one does not remember verdicts; one `in_batches` gets the answers of large looks
        from its providers' batches.
        """
        self._repository = repository
        self._client = client
        self._results = results
        self._execution = execution
        self._commit = commit
        self._store = store
        self._fresh = fresh
        self._in_batches = in_batches
        self._say = say

    async def evaluate(self, task: str) -> EvaluationRecord:
        """Evaluate `task`, or remember the verdict that the same inputs had before.

        The record is stored under the execution's id, details beside it, and a verdict that rests
        on a measurement also under its digest.
        """
        registry = self._repository.registry()
        inputs = Inputs.of(self._repository, task, registry)
        digest = inputs.digest(self._identity)
        calibration = self._calibration(inputs, registry)
        refused = calibration is not None and calibration.refusal is not None
        forgotten = self._fresh or refused or inputs.unchanged(self._client)
        remembered = None if forgotten else self._remembered(inputs, digest)
        if remembered is not None:
            record = remembered.record.model_copy(
                update={
                    "execution": self._execution,
                    "commit": self._commit,
                    "remembered": True,
                    "endpoints": None,
                }
            )
            key = aws_names.evaluation_details_key(self._execution, task)
            self._results.put(key, remembered.details_text)
        else:
            record = await self._measure(inputs, digest, calibration)
        self._results.put(aws_names.evaluation_key(self._execution, task), record.to_json())
        return record

    def _remembered(self, inputs: Inputs, digest: str) -> Evaluation | None:
        """Return the evaluation that the same inputs had before, None where none can be used."""
        try:
            found = remembered_evaluation(self._results, digest)
            reason = None if found is None else self._outdated(inputs, found)
        except PromptHubError as error:
            # It is only a memory: measuring again puts a whole one into its place.
            found, reason = None, error.message
        if reason is not None:
            self._say(f"  the remembered verdict is not used: {reason}")
            return None
        return found

    def _outdated(self, inputs: Inputs, found: Evaluation) -> str | None:
        """In words, why what is remembered is not used; None where it is.

        The price is in no digest, so that a new one that decides nothing asks nobody again.
        Neither is the endpoint, so that digests of records are made again without settings.
        """
        endpoints = found.record.endpoints
        if endpoints is not None and endpoints != inputs.endpoints(self._client.resolve):
            return "its answers came from another endpoint"
        if found.record.champion is not None and inputs.comparison_blocker:
            return "today the champion is not compared on these examples"
        arm = found.record.candidate
        if arm is None or found.large is not None:
            return None
        sums = sums_of(found.details.get("candidate", ()))
        measured = (sums.tokens_in, sums.tokens_out, sums.latency(0.5))
        if measured != (arm.tokens_in, arm.tokens_out, arm.seconds_p50):
            # Somebody who measured anew died after he had replaced the answers.
            return "its answers are those of another measurement"
        usd = self._client.resolve(inputs.candidate).cost(sums.tokens_in, sums.tokens_out)
        now = usd / sums.answered if usd is not None and sums.answered else None
        limits = inputs.metadata.limits
        too_much = costs_too_much(now, limits)
        if not sums.answered or too_much == costs_too_much(sums.usd_per_call, limits):
            return None
        said = "more" if too_much else "no more"
        return f"by the prices of now a call costs {said} than limits.usd_per_call allows"

    async def _measure(
        self, inputs: Inputs, digest: str, calibration: Calibration | None
    ) -> EvaluationRecord:
        started = datetime.now(UTC)
        refusal = calibration.refusal if calibration else None
        budgeted = BudgetedClient.within(inputs.metadata, self._client, self._store)
        prefetcher = BatchPrefetcher(budgeted, self._say) if self._in_batches else None
        measuring = _Measuring(inputs, budgeted, prefetcher)
        if inputs.unchanged(self._client):
            sequential = unchanged()
        elif refusal is not None:
            sequential = SequentialResult(Conclusion(Status.NOT_MEASURED, (refusal,)))
        else:
            self._say(measuring.estimate())
            try:
                sequential = await self._look(inputs, measuring)
            finally:
                measuring.close()
        record = build_record(
            inputs,
            sequential,
            measuring.infos,
            Provenance(
                execution=self._execution,
                commit=self._commit,
                digest=digest,
                started_at=started,
                finished_at=datetime.now(UTC),
            ),
            self._judging(inputs, sequential, calibration),
        )
        if sequential.details:
            self._keep(record, sequential, inputs.endpoints(self._client.resolve))
        return record

    async def _look(self, inputs: Inputs, measuring: _Measuring) -> SequentialResult:
        def undecided(line: str) -> None:
            measuring.progress.finish()
            self._say(f"  {inputs.candidate.task}: {line}")

        try:
            return await measure_until_decided(
                inputs.scored,
                inputs.examples_sha256,
                inputs.metadata,
                tuple(inputs.arms),
                measuring.ask,
                sampled=inputs.sampled,
                gate_version=inputs.gate_version,
                prepare=measuring.prepare,
                say=undecided,
            )
        finally:
            measuring.progress.finish()

    def _keep(self, record: EvaluationRecord, sequential: SequentialResult, endpoints: str) -> None:
        # What could not be measured must be tried again, so only real verdicts are remembered.
        real = record.verdict.status is not Status.NOT_MEASURED
        key = aws_names.evaluation_details_key(self._execution, record.task)
        keys = [key, aws_names.verdict_details_key(record.digest)] if real else [key]
        put_details(self._results, keys, lines_of(sequential))
        if real:
            kept = record.model_copy(update={"endpoints": endpoints})
            self._results.put(aws_names.verdict_key(record.digest), kept.to_json())

    def _calibration(self, inputs: Inputs, registry: Registry) -> Calibration | None:
        """Return what is recorded of the judge; None where none grades."""
        judge, settings = inputs.judge, inputs.metadata.judge
        if judge is None or settings is None:
            return None
        calibration = calibration_of(
            self._repository, registry, settings, judge, self._identity(judge)
        )
        if calibration.refusal is None and votes_of(judge, settings) < settings.votes:
            asked = self._client.resolve(judge).request_parameters(judge.model.parameters)
            why = (
                "is asked at temperature 0"
                if "temperature" in asked
                else "names temperature 0, which its model does not take (name none for more votes)"
            )
            self._say(
                f"  the judge {judge.task} {judge.version} {why}:"
                f" it is asked for one vote, not for {settings.votes}"
            )
        return calibration

    def _judging(
        self, inputs: Inputs, sequential: SequentialResult, calibration: Calibration | None
    ) -> Judging | None:
        judge, settings = inputs.judge, inputs.metadata.judge
        if judge is None or settings is None or calibration is None:
            return None
        parts = (
            part for detail in sequential.details.get("candidate", ()) for part in detail.parts
        )
        return judging(calibration, settings, judge, self._identity(judge), parts)

    def _identity(self, prompt: Prompt) -> str:
        return self._client.resolve(prompt).identity


class _Questions(Sequence[JsonObject]):
    """The fields that a prompt will be asked about, made when they are looked at."""

    def __init__(self, inputs: Inputs) -> None:
        self._examples = inputs.scored
        self._by: list[tuple[Prompt, Scoring]] = []
        """Whose answers make the questions come up: the arms."""
        self._arms, self._places, self._numbers = array("B"), array("L"), array("L")

    def add(self, prompt: Prompt, scoring: Scoring, place: int, number: int) -> None:
        """Add what `scoring` asks about an example, the `number`-th of it."""
        if not self._by or self._by[-1][1] is not scoring:
            self._by.append((prompt, scoring))
        self._arms.append(len(self._by) - 1)
        self._places.append(place)
        self._numbers.append(number)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> JsonObject: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[JsonObject]: ...
    def __getitem__(self, place: int | slice) -> JsonObject | Sequence[JsonObject]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        prompt, scoring = self._by[self._arms[place]]
        every = scoring.asked(prompt, self._examples[self._places[place]])
        _, fields, _ = next(islice(every, self._numbers[place], None))
        return fields


class _Measuring:
    """Asks the models for the answers of one evaluation."""

    def __init__(
        self, inputs: Inputs, budgeted: BudgetedClient, prefetcher: BatchPrefetcher | None
    ) -> None:
        self._inputs = inputs
        self._budgeted = budgeted
        self._prefetcher = prefetcher
        self._scorings = (
            [
                (prompt, Scoring(inputs.metadata, prompt, inputs.judge))
                for prompt in inputs.arms.values()
            ]
            if prefetcher is not None
            else []
        )
        self.progress = Progress(budgeted)
        self.infos: dict[ArmName, MeasurementInfo] = {
            arm: MeasurementInfo(model=budgeted.client.resolve(prompt).identity)
            for arm, prompt in inputs.arms.items()
        }

    def close(self) -> None:
        """Give back the journals of batches, and the stored answers.

        Those of a judge stay: it grades other tasks, too.
        """
        if self._prefetcher is not None:
            self._prefetcher.close()
        self._budgeted.release(but=self._inputs.judge)

    def estimate(self) -> str:
        """In words, the most that looking at every example will ask for, once and in all rounds."""
        inputs = self._inputs
        once, rounds = self._estimated(1), inputs.most_rounds
        most = once if rounds == 1 else self._estimated(rounds)
        words = f"{inputs.candidate.task}: up to {once.in_words(inputs.metadata.gate.budget, most)}"
        if most is not once:
            words += f"; up to {count(most.calls, 'call')} in {count(rounds, 'round')}"
            words += ", if the comparison stays open (gate.repeats)"
        corrupt = self._budgeted.corrupt_entries
        if corrupt:
            words += f"; {corrupt} stored responses cannot be read and are asked for again"
        if self._prefetcher is not None:
            words += "; large looks in batches"
            if inputs.metadata.limits.seconds_p95 is not None:
                words += ", whose latency nobody knows: limits.seconds_p95 will not be measured"
        return words

    def _estimated(self, rounds: int) -> Estimate:
        """Return the most that so many rounds ask for."""
        inputs = self._inputs
        asked: dict[tuple[int, int], tuple[Prompt, _Questions]] = {}
        for prompt in inputs.arms.values():
            scoring = Scoring(inputs.metadata, prompt, inputs.judge)
            again = rounds if prompt.model.sampled else 1
            if not scoring.asks_further:
                questions = _Questions(inputs)
                for place in range(len(inputs.scored)):
                    questions.add(prompt, scoring, place, 0)
                asked[id(prompt), again] = (prompt, questions)
                continue
            for place, example in enumerate(inputs.scored):
                for number, (item, _, times) in enumerate(scoring.asked(prompt, example)):
                    # A judge is asked about each answer, and a sampled one again about the same.
                    key = (id(item), times * (rounds if item.model.sampled else again))
                    if key not in asked:
                        asked[key] = (item, _Questions(inputs))
                    asked[key][1].add(prompt, scoring, place, number)
        workloads = [
            Workload(prompt=prompt, questions=questions, repeats=times)
            for (_, times), (prompt, questions) in asked.items()
        ]
        if self._prefetcher is None:
            return self._budgeted.estimate(workloads)
        every = len(inputs.scored)
        looks = [*look_sizes(every, inputs.metadata.gate.first_look), *[every] * (rounds - 1)]
        return self._budgeted.estimate(workloads, partial(self._prefetcher.discount, looks=looks))

    async def prepare(self, examples: Sequence[Example], repeat: int) -> None:
        """Get answers about examples in batches, then what a judge is asked about these answers.

        A judge has most of the calls, and what it is asked is known as soon as there are answers:
        it is worth a second batch.
        """
        if self._prefetcher is None:
            return
        await self._prefetcher.fetch(
            (asked, partial(self._opening, asked, prompt, scoring, examples, repeat))
            for prompt, scoring in self._scorings
            for asked in scoring.prompts(prompt)
        )
        if self._inputs.judge is not None:
            votes = partial(self._following, examples, repeat)
            await self._prefetcher.fetch([(self._inputs.judge, votes)])

    def _opening(
        self,
        asked: Prompt,
        prompt: Prompt,
        scoring: Scoring,
        examples: Sequence[Example],
        repeat: int,
    ) -> Iterator[tuple[JsonObject, int]]:
        """Yield what one prompt is asked, itself or with the canary of attacks."""
        for example in examples:
            for item, fields, times in scoring.opening(prompt, example, repeat):
                if item is asked:
                    yield fields, times

    def _following(
        self, examples: Sequence[Example], repeat: int
    ) -> Iterator[tuple[JsonObject, int]]:
        """Yield what the judge is asked about the answers that are there."""
        for prompt, scoring in self._scorings:
            for example in examples:
                for _, fields, times in scoring.following(
                    prompt, example, repeat, self._budgeted.stored
                ):
                    yield fields, times

    async def ask(self, arm: ArmName, examples: Sequence[Example], repeat: int) -> Sequence[Result]:
        """Answer and score one arm on examples that were asked `repeat` times before."""
        prompt = self._inputs.arms[arm]
        measured = await measure(
            prompt,
            examples,
            self._inputs.metadata,
            self._budgeted,
            judge=self._inputs.judge,
            repeat=repeat,
            progress=self.progress.arm(f"{prompt.task} {prompt.version}"),
        )
        before = self.infos[arm]
        self.infos[arm] = replace(
            before,
            answered_by=tuple(dict.fromkeys((*before.answered_by, *measured.info.answered_by))),
            seconds=round(before.seconds + measured.info.seconds, 3),
        )
        return measured.details
