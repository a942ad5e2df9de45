"""The evaluation of one task: candidate and champion measured, a verdict, a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from prompt_hub import names
from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.evaluate.details import ARMS, ArmName, Detail
from prompt_hub.evaluate.gate import GATE_VERSION, Decision, Status
from prompt_hub.evaluate.judge import judge_of
from prompt_hub.evaluate.looks import Looked, look
from prompt_hub.evaluate.power import stated
from prompt_hub.evaluate.record import (
    Arm,
    Difference,
    EvaluationRecord,
    Judging,
    Power,
    Verdict,
)
from prompt_hub.evaluate.results import Results
from prompt_hub.evaluate.runner import Progress, measure
from prompt_hub.evaluate.scorers import SCORERS_VERSION, majority_baseline
from prompt_hub.evaluate.summary import Occasion, arm_of
from prompt_hub.models.call import ModelCaller
from prompt_hub.prompts.hashing import sha256_of
from prompt_hub.prompts.models import Example, Metadata, Prompt
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
        say: Callable[[str], None] = print,
        concurrency: int = 4,
    ) -> None:
        self._repository = repository
        self._caller = caller
        self._results = results
        self._execution = execution
        self._commit = commit
        self._say = say
        self._concurrency = concurrency

    async def evaluate(self, task: str) -> EvaluationRecord:
        """Evaluate `task`, or remember the verdict that the same inputs had before.

        The record is stored under the execution's id, details beside it, and a verdict that rests
        on a measurement also under its digest.
        """
        inputs = Inputs.of(self._repository, task)
        digest = inputs.digest(self._identity)
        remembered = self._results.get(names.verdict_key(digest))
        if remembered is not None and not inputs.unchanged(self._caller):
            record = EvaluationRecord.model_validate_json(remembered).model_copy(
                update={"execution": self._execution, "commit": self._commit, "remembered": True}
            )
            self._copy_details(digest, task)
        else:
            record = await self._measure(inputs, digest)
        self._results.put(names.evaluation_key(self._execution, task), record.to_json())
        return record

    def _copy_details(self, digest: str, task: str) -> None:
        details = self._results.get(names.verdict_details_key(digest))
        if details is not None:
            self._results.put(names.evaluation_details_key(self._execution, task), details)

    async def _measure(self, inputs: Inputs, digest: str) -> EvaluationRecord:
        started = datetime.now(UTC)
        measuring = _Measuring(inputs, self._caller, self._concurrency, self._say)
        if inputs.unchanged(self._caller):
            looked = unchanged()
        else:
            looked = await look(
                inputs.scored,
                inputs.examples_sha256,
                inputs.metadata,
                tuple(inputs.arms),
                measuring.ask,
                sampled=inputs.sampled,
                say=lambda line: self._say(f"  {inputs.candidate.task}: {line}"),
            )
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
        )
        if looked.details:
            self._keep(record, looked)
        return record

    def _keep(self, record: EvaluationRecord, looked: Looked) -> None:
        details = details_text(looked.details)
        self._results.put(names.evaluation_details_key(self._execution, record.task), details)
        # What could not be measured must be tried again, so only real verdicts are remembered.
        if record.verdict.status is not Status.NOT_MEASURED:
            self._results.put(names.verdict_details_key(record.digest), details)
            self._results.put(names.verdict_key(record.digest), record.to_json())

    def _identity(self, prompt: Prompt) -> str:
        return self._caller.resolve(prompt).identity


class _Measuring:
    """Asks the models for the answers of one evaluation."""

    def __init__(
        self, inputs: Inputs, caller: ModelCaller, concurrency: int, say: Callable[[str], None]
    ) -> None:
        self._inputs = inputs
        self._caller = caller
        self._concurrency = concurrency
        self._say = say
        self.occasions: dict[ArmName, Occasion] = {
            arm: Occasion(model=caller.resolve(prompt).identity)
            for arm, prompt in inputs.arms.items()
        }

    async def ask(self, arm: ArmName, examples: Sequence[Example], repeat: int) -> list[Detail]:
        """Answer and score one arm on examples that were asked `repeat` times before."""
        prompt = self._inputs.arms[arm]
        measured = await measure(
            prompt,
            examples,
            self._inputs.metadata,
            self._caller,
            judge=self._inputs.judge,
            repeat=repeat,
            concurrency=self._concurrency,
            progress=self._progress(prompt),
        )
        before = self.occasions[arm]
        self.occasions[arm] = replace(
            before,
            answered_by=tuple(dict.fromkeys((*before.answered_by, *measured.answered_by))),
            seconds=round(before.seconds + measured.seconds, 3),
        )
        return [Detail.of(result) for result in measured.per_example]

    def _progress(self, prompt: Prompt) -> Progress:
        def tell(done: int, total: int) -> None:
            if done == total or done % 10 == 0:
                self._say(f"  {prompt.task} {prompt.version}: {done} of {total} examples")

        return tell


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


def details_text(details: Mapping[ArmName, Sequence[Detail]]) -> str:
    """The details of a record as they are stored: one line for each answer."""
    return "".join(f"{one.to_line(arm)}\n" for arm, found in details.items() for one in found)


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
        verdict=_verdict(inputs, looked),
        **vars(provenance),
    )


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
