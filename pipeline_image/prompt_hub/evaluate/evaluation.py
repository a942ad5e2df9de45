"""The evaluation of one task: candidate and champion measured, a verdict, a record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from prompt_hub import names
from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.evaluate.calibration import calibrated, judging, may_gate
from prompt_hub.evaluate.gate import Decision, Status, decide
from prompt_hub.evaluate.judge import judge_of, votes_of
from prompt_hub.evaluate.record import (
    Arm,
    Difference,
    EvaluationRecord,
    Judging,
    Verdict,
    detail_lines,
)
from prompt_hub.evaluate.results import Results
from prompt_hub.evaluate.runner import Measurement, Progress, measure
from prompt_hub.evaluate.scorers import SCORERS_VERSION, majority_baseline
from prompt_hub.evaluate.scorers.own import fingerprints
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
            entries=fingerprints(
                [one.entry for one in metadata.scorers if one.type == "python"], repository.root
            ),
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

    def digest(self, caller: ModelCaller) -> str:
        """Hash of everything that could change the verdict."""
        champion = self.rival
        return sha256_of(
            {
                "task": self.candidate.task,
                "version": self.candidate.version,
                "candidate": self.candidate.sha256,
                "candidate_model": caller.resolve(self.candidate).identity,
                "champion": champion.sha256 if champion else None,
                "champion_model": caller.resolve(champion).identity if champion else None,
                "examples": self.examples_sha256,
                "metadata": self.metadata.sha256,
                "scorers": SCORERS_VERSION,
                "entries": dict(self.entries),
                "judge": self.judge.sha256 if self.judge else None,
                "judge_model": caller.resolve(self.judge).identity if self.judge else None,
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
        digest = inputs.digest(self._caller)
        refusal = self._judge_refusal(inputs)
        remembered = None if refusal else self._results.get(names.verdict_key(digest))
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
        if inputs.unchanged(self._caller):
            decision = Decision(Status.UNCHANGED, ("the candidate is the released version",))
            return self._record(inputs, digest, decision, None, None, started)
        if refusal is not None:
            decision = Decision(Status.NOT_MEASURED, (refusal,))
            return self._record(inputs, digest, decision, None, None, started)
        measured, champion = await asyncio.gather(
            self._arm(inputs.candidate, inputs), self._rival_arm(inputs)
        )
        gate = inputs.metadata.gate
        problems = (*measured.problems, *(champion.problems if champion else ()))
        missing = tuple(dict.fromkeys(problems))
        decision = decide(
            score=measured.score,
            threshold=inputs.metadata.threshold,
            candidate=measured.scores,
            champion=champion.scores if champion else None,
            margin=gate.margin,
            confidence=gate.confidence,
            missing=missing,
        )
        record = self._record(inputs, digest, decision, measured, champion, started)
        lines = [*detail_lines("candidate", measured)]
        if champion is not None:
            lines += detail_lines("champion", champion)
        details = "\n".join(lines) + "\n"
        task = inputs.candidate.task
        self._results.put(names.evaluation_details_key(self._execution, task), details)
        # What could not be measured must be tried again, so only real verdicts are remembered.
        if decision.status is not Status.NOT_MEASURED:
            self._results.put(names.verdict_details_key(digest), details)
            self._results.put(names.verdict_key(digest), record.to_json())
        return record

    def _judge_refusal(self, inputs: Inputs) -> str | None:
        """Why the judge may not gate; None where it may, and where none grades."""
        judge, settings = inputs.judge, inputs.metadata.judge
        if judge is None or settings is None:
            return None
        model = self._caller.resolve(judge).identity
        refusal = may_gate(self._repository, settings, model=model)
        if refusal is None and votes_of(judge, settings) < settings.votes:
            self._say(
                f"  the judge {judge.task} {judge.version} always says the same: it is asked for"
                f" one vote, not for {settings.votes}"
            )
        return refusal

    def _judging(self, inputs: Inputs, measured: Measurement | None) -> Judging | None:
        judge, settings = inputs.judge, inputs.metadata.judge
        if judge is None or settings is None or measured is None:
            return None
        model = self._caller.resolve(judge).identity
        parts = [part for result in measured.per_example for part in result.parts]
        return judging(self._repository, settings, judge, model, parts)

    async def _rival_arm(self, inputs: Inputs) -> Measurement | None:
        return await self._arm(inputs.rival, inputs) if inputs.rival else None

    async def _arm(self, prompt: Prompt, inputs: Inputs) -> Measurement:
        return await measure(
            prompt,
            inputs.examples,
            inputs.metadata,
            self._caller,
            judge=inputs.judge,
            concurrency=self._concurrency,
            progress=self._progress(prompt),
        )

    def _progress(self, prompt: Prompt) -> Progress:
        def tell(done: int, total: int) -> None:
            if done == total or done % 10 == 0:
                self._say(f"  {prompt.task} {prompt.version}: {done} of {total} examples")

        return tell

    def _record(
        self,
        inputs: Inputs,
        digest: str,
        decision: Decision,
        measured: Measurement | None,
        champion: Measurement | None,
        started: datetime,
    ) -> EvaluationRecord:
        metadata = inputs.metadata
        override = metadata.override
        overridden = (
            override.person
            if override is not None
            and override.version == inputs.candidate.version
            and decision.status in (Status.BLOCK, Status.INCONCLUSIVE)
            else None
        )
        scored = [example for example in inputs.examples if example.split == "eval"]
        baseline = majority_baseline(metadata.scorers, scored, inputs.candidate.output)
        comparison = decision.comparison
        return EvaluationRecord(
            schema_="prompt-hub/evaluation@1",
            task=inputs.candidate.task,
            version=inputs.candidate.version,
            execution=self._execution,
            commit=self._commit,
            digest=digest,
            examples_sha256=inputs.examples_sha256,
            metadata_sha256=metadata.sha256,
            scorers_version=SCORERS_VERSION,
            threshold=metadata.threshold,
            baseline=baseline,
            candidate=self._summed(inputs.candidate, measured),
            champion=self._summed(inputs.rival, champion),
            champion_sha256=inputs.champion.sha256 if inputs.champion else None,
            judge=self._judging(inputs, measured),
            agreement=calibrated(
                inputs.candidate,
                [
                    (result.example, result.answer.text)
                    for result in (measured.per_example if measured else ())
                    if result.answer is not None
                ],
                metadata.gate.confidence,
            ),
            verdict=Verdict(
                status=decision.status,
                reasons=decision.reasons,
                comparison=Difference(**vars(comparison)) if comparison else None,
                overridden_by=overridden,
            ),
            started_at=started,
            finished_at=datetime.now(UTC),
        )

    def _summed(self, prompt: Prompt | None, measured: Measurement | None) -> Arm | None:
        if prompt is None or measured is None:
            return None
        return Arm.of(prompt, self._caller.resolve(prompt), measured)
