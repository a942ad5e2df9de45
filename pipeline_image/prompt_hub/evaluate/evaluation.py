"""The evaluation of one task: candidate and champion measured, a verdict, a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from prompt_hub import names
from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.evaluate.agreement import Agreement
from prompt_hub.evaluate.calibration import calibrated, judging, may_gate
from prompt_hub.evaluate.details import ARMS, ArmName, Detail
from prompt_hub.evaluate.engine import Asked, Engine
from prompt_hub.evaluate.gate import GATE_VERSION, Decision, Status
from prompt_hub.evaluate.judge import judge_of, votes_of
from prompt_hub.evaluate.looks import Looked, look
from prompt_hub.evaluate.power import stated
from prompt_hub.evaluate.progress import Progress
from prompt_hub.evaluate.record import (
    Arm,
    Difference,
    EvaluationRecord,
    Judging,
    Power,
    Verdict,
)
from prompt_hub.evaluate.responses import ResponseStore
from prompt_hub.evaluate.results import Results
from prompt_hub.evaluate.runner import measure
from prompt_hub.evaluate.scorers import SCORERS_VERSION, majority_baseline
from prompt_hub.evaluate.scorers.own import fingerprints, own_entries
from prompt_hub.evaluate.scoring import Scoring
from prompt_hub.evaluate.summary import Occasion, arm_of
from prompt_hub.models.call import ModelCaller
from prompt_hub.prompts.hashing import sha256_of
from prompt_hub.prompts.models import Example, JsonObject, Metadata, Prompt
from prompt_hub.prompts.repository import PromptRepository


@dataclass(frozen=True)
class Inputs:
    """Everything a verdict depends on."""

    candidate: Prompt
    champion: Prompt | None
    examples: tuple[Example, ...]
    examples_sha256: str
    metadata: Metadata
    judge: Prompt | None
    entries: Mapping[str, str]
    """Hash of the code of every scorer of one's own."""
    registered_model: str | None
    """Identity of the model that the champion was measured on, as the registry has it."""

    @classmethod
    def of(cls, repository: PromptRepository, task: str) -> Inputs:
        """Read the inputs; raises `PromptHubError` where a file is wrong."""
        metadata = repository.metadata(task)
        candidate = repository.candidate(task)
        champion = repository.production(task)
        entry = repository.registry().tasks.get(task)
        if candidate.version != metadata.version:
            raise PromptHubError(
                f"03-metadata/{task}.yaml: version is {metadata.version}, but the candidate is"
                f" {candidate.version}.",
                hint="Make both the same.",
                exit_code=ExitCode.BLOCKED,
            )
        return cls(
            candidate=candidate,
            champion=champion,
            examples=repository.examples(task),
            examples_sha256=repository.examples_sha256(task),
            metadata=metadata,
            judge=judge_of(repository, metadata),
            entries=fingerprints(own_entries(metadata.scorers), repository.root),
            registered_model=entry.model.identity if entry and entry.model else None,
        )

    @property
    def rival(self) -> Prompt | None:
        """The champion, unless the candidate is the champion itself."""
        champion = self.champion
        itself = (
            champion is not None
            and champion.version == self.candidate.version
            and champion.sha256 == self.candidate.sha256
        )
        return None if itself else champion

    def unchanged(self, caller: ModelCaller) -> bool:
        """Whether the candidate is the champion, measured on the model that it would have here.

        A champion that was measured on another model must qualify on this one like a candidate.
        """
        if self.champion is None or self.rival is not None:
            return False
        return self.registered_model == caller.resolve(self.candidate).identity

    @property
    def arms(self) -> Mapping[ArmName, Prompt]:
        """What is measured: the candidate, and its rival beside it where there is one."""
        both = zip(ARMS, (self.candidate, self.rival), strict=True)
        return {arm: prompt for arm, prompt in both if prompt is not None}

    @property
    def scored(self) -> tuple[Example, ...]:
        """The examples that scores may come from; shots are never scored."""
        return tuple(example for example in self.examples if example.split == "eval")

    @property
    def sampled(self) -> bool:
        """Whether asking an example again can give another answer."""
        return any(prompt.model.sampled for prompt in self.arms.values())

    def digest(self, identity: Callable[[Prompt], str]) -> str:
        """Hash of everything that could change the verdict; `identity` names a prompt's model."""
        rival = self.rival
        return sha256_of(
            {
                "task": self.candidate.task,
                "version": self.candidate.version,
                "candidate": self.candidate.sha256,
                "candidate_model": identity(self.candidate),
                "champion": self.champion.sha256 if self.champion else None,
                "champion_model": identity(rival) if rival else None,
                "examples": self.examples_sha256,
                "metadata": self.metadata.sha256,
                "scorers": SCORERS_VERSION,
                "entries": dict(self.entries),
                "gate": GATE_VERSION,
                "judge": self.judge.sha256 if self.judge else None,
                "judge_model": identity(self.judge) if self.judge else None,
            }
        )


class Evaluator:
    """Evaluates tasks of one repository and keeps the records."""

    def __init__(
        self,
        repository: PromptRepository,
        caller: ModelCaller,
        results: Results,
        *,
        execution: str,
        commit: str,
        store: ResponseStore | None = None,
        fresh: bool = False,
        say: Callable[[str], None] = print,
    ) -> None:
        """Make an evaluator; a `fresh` one does not remember verdicts."""
        self._repository = repository
        self._caller = caller
        self._results = results
        self._execution = execution
        self._commit = commit
        self._store = store
        self._fresh = fresh
        self._say = say

    async def evaluate(self, task: str) -> EvaluationRecord:
        """Evaluate `task`, or remember the verdict that the same inputs had before.

        The record is stored under the execution's id, details beside it, and a verdict that rests
        on a measurement also under its digest.
        """
        inputs = Inputs.of(self._repository, task)
        digest = inputs.digest(self._identity)
        refusal = self._judge_refusal(inputs)
        forgotten = self._fresh or refusal is not None
        remembered = None if forgotten else self._results.get(names.verdict_key(digest))
        if remembered is not None and not inputs.unchanged(self._caller):
            record = EvaluationRecord.model_validate_json(remembered).model_copy(
                update={"execution": self._execution, "commit": self._commit, "remembered": True}
            )
            self._copy_details(digest, task)
        else:
            record = await self._measure(inputs, digest, refusal)
        self._results.put(names.evaluation_key(self._execution, task), record.to_json())
        return record

    def _copy_details(self, digest: str, task: str) -> None:
        details = self._results.get(names.verdict_details_key(digest))
        if details is not None:
            self._results.put(names.evaluation_details_key(self._execution, task), details)

    async def _measure(self, inputs: Inputs, digest: str, refusal: str | None) -> EvaluationRecord:
        started = datetime.now(UTC)
        measuring = _Measuring(inputs, self._engine(inputs))
        if inputs.unchanged(self._caller):
            looked = unchanged()
        elif refusal is not None:
            looked = Looked(Decision(Status.NOT_MEASURED, (refusal,)))
        else:
            self._say(measuring.estimate())
            looked = await self._look(inputs, measuring)
        record = recorded(
            inputs,
            looked,
            measuring.occasions,
            Provenance(
                execution=self._execution,
                commit=self._commit,
                digest=digest,
                started_at=started,
                finished_at=datetime.now(UTC),
            ),
            self._judging(inputs, looked),
        )
        if looked.details:
            self._keep(record, looked)
        return record

    def _engine(self, inputs: Inputs) -> Engine:
        return Engine(
            self._caller,
            budget=inputs.metadata.gate.budget,
            seconds_per_call=inputs.metadata.limits.seconds_per_call,
            store=self._store,
        )

    async def _look(self, inputs: Inputs, measuring: _Measuring) -> Looked:
        def undecided(line: str) -> None:
            measuring.progress.finish()
            self._say(f"  {inputs.candidate.task}: {line}")

        try:
            return await look(
                inputs.scored,
                inputs.examples_sha256,
                inputs.metadata,
                tuple(inputs.arms),
                measuring.ask,
                sampled=inputs.sampled,
                say=undecided,
            )
        finally:
            measuring.progress.finish()

    def _keep(self, record: EvaluationRecord, looked: Looked) -> None:
        # What could not be measured must be tried again, so only real verdicts are remembered.
        real = record.verdict.status is not Status.NOT_MEASURED
        key = names.evaluation_details_key(self._execution, record.task)
        for where in (key, names.verdict_details_key(record.digest)) if real else (key,):
            self._results.put_lines(where, lines_of(looked))
        if real:
            self._results.put(names.verdict_key(record.digest), record.to_json())

    def _judge_refusal(self, inputs: Inputs) -> str | None:
        """Why the judge may not gate; None where it may, and where none grades."""
        judge, settings = inputs.judge, inputs.metadata.judge
        if judge is None or settings is None:
            return None
        refusal = may_gate(self._repository, settings, model=self._identity(judge))
        if refusal is None and votes_of(judge, settings) < settings.votes:
            self._say(
                f"  the judge {judge.task} {judge.version} always says the same: it is asked for"
                f" one vote, not for {settings.votes}"
            )
        return refusal

    def _judging(self, inputs: Inputs, looked: Looked) -> Judging | None:
        judge, settings = inputs.judge, inputs.metadata.judge
        if judge is None or settings is None:
            return None
        parts = [part for detail in looked.details.get("candidate", ()) for part in detail.parts]
        return judging(self._repository, settings, judge, self._identity(judge), parts)

    def _identity(self, prompt: Prompt) -> str:
        return self._caller.resolve(prompt).identity


class _Measuring:
    """Asks the models for the answers of one evaluation."""

    def __init__(self, inputs: Inputs, engine: Engine) -> None:
        self._inputs = inputs
        self._engine = engine
        self.progress = Progress(engine)
        self.occasions: dict[ArmName, Occasion] = {
            arm: Occasion(model=engine.caller.resolve(prompt).identity)
            for arm, prompt in inputs.arms.items()
        }

    def estimate(self) -> str:
        """In words, the most that looking at every example once will ask for."""
        inputs = self._inputs
        asked: dict[tuple[int, int], tuple[Prompt, list[JsonObject]]] = {}
        for prompt in inputs.arms.values():
            scoring = Scoring(inputs.metadata, prompt, inputs.judge)
            for example in inputs.scored:
                for one, fields, times in ((prompt, example.input, 1), *scoring.further(example)):
                    asked.setdefault((id(one), times), (one, []))[1].append(fields)
        estimate = self._engine.estimate(
            [
                Asked(prompt=prompt, questions=questions, repeats=times)
                for (_, times), (prompt, questions) in asked.items()
            ]
        )
        words = f"{inputs.candidate.task}: up to {estimate.in_words(inputs.metadata.gate.budget)}"
        damaged = self._engine.damaged
        if damaged:
            words += f"; {damaged} stored responses cannot be read and are asked for again"
        return words

    async def ask(self, arm: ArmName, examples: Sequence[Example], repeat: int) -> list[Detail]:
        """Answer and score one arm on examples that were asked `repeat` times before."""
        prompt = self._inputs.arms[arm]
        measured = await measure(
            prompt,
            examples,
            self._inputs.metadata,
            self._engine,
            judge=self._inputs.judge,
            repeat=repeat,
            progress=self.progress.arm(f"{prompt.task} {prompt.version}"),
        )
        before = self.occasions[arm]
        self.occasions[arm] = replace(
            before,
            answered_by=tuple(dict.fromkeys((*before.answered_by, *measured.answered_by))),
            seconds=round(before.seconds + measured.seconds, 3),
        )
        return [Detail.of(result) for result in measured.per_example]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """By whom, from what and when a record was made."""

    execution: str
    commit: str
    digest: str
    started_at: datetime
    finished_at: datetime
    remembered: bool = False


def unchanged() -> Looked:
    """What is said of a candidate that is the champion already: nothing was measured."""
    decision = Decision(Status.UNCHANGED, ("the candidate is the released version",))
    return Looked(decision)


def lines_of(looked: Looked) -> Iterator[str]:
    """The details of a record: one line for each answer."""
    for arm, details in looked.details.items():
        yield from (detail.to_line(arm) for detail in details)


def recorded(
    inputs: Inputs,
    looked: Looked,
    occasions: Mapping[ArmName, Occasion],
    provenance: Provenance,
    judge: Judging | None = None,
) -> EvaluationRecord:
    """The record of an evaluation: a pure function, so that it can be made again."""
    metadata = inputs.metadata
    arms: dict[ArmName, Arm] = {
        arm: arm_of(
            inputs.arms[arm], occasions[arm], details, inputs.scored, metadata.gate.confidence
        )
        for arm, details in looked.details.items()
    }
    return EvaluationRecord(
        schema_="prompt-hub/evaluation@1",
        task=inputs.candidate.task,
        version=inputs.candidate.version,
        examples_sha256=inputs.examples_sha256,
        metadata_sha256=metadata.sha256,
        scorers_version=SCORERS_VERSION,
        gate_version=GATE_VERSION,
        threshold=metadata.threshold,
        baseline=majority_baseline(metadata.scorers, inputs.scored, inputs.candidate.output),
        candidate=arms.get("candidate"),
        champion=arms.get("champion"),
        champion_sha256=inputs.champion.sha256 if inputs.champion else None,
        judge=judge,
        agreement=_agreement(inputs, looked),
        verdict=_verdict(inputs, looked),
        **vars(provenance),
    )


def _agreement(inputs: Inputs, looked: Looked) -> Agreement | None:
    """Agreement with people of a candidate that is a judge itself."""
    examples = {example.id: example for example in inputs.scored}
    answers = [
        (examples[detail.id], detail.answer)
        for detail in looked.details.get("candidate", ())
        if detail.answer is not None
    ]
    return calibrated(inputs.candidate, answers, inputs.metadata.gate.confidence)


def _verdict(inputs: Inputs, looked: Looked) -> Verdict:
    metadata, override = inputs.metadata, inputs.metadata.override
    decision = looked.decision
    if looked.evidence is not None:
        decision = stated(decision, looked.evidence, metadata.threshold, metadata.gate)
    overridden = (
        override.person
        if override is not None
        and override.version == inputs.candidate.version
        and decision.status in (Status.BLOCK, Status.INCONCLUSIVE)
        else None
    )
    comparison, power = decision.comparison, decision.power
    return Verdict(
        status=decision.status,
        reasons=decision.reasons,
        comparison=Difference(**vars(comparison)) if comparison else None,
        tags={tag: Difference(**vars(found)) for tag, found in decision.tags.items()},
        power=Power(**vars(power)) if power else None,
        looks=looked.looks,
        overridden_by=overridden,
    )
