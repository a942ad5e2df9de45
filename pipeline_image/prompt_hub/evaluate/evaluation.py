"""The evaluation of one task: candidate and champion measured, a verdict, a record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from prompt_hub import names
from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.evaluate.engine import Asked, Engine
from prompt_hub.evaluate.gate import Decision, Status, decide
from prompt_hub.evaluate.judge import judge_of, question
from prompt_hub.evaluate.progress import Progress
from prompt_hub.evaluate.record import Arm, Difference, EvaluationRecord, Verdict, detail_lines
from prompt_hub.evaluate.responses import ResponseStore
from prompt_hub.evaluate.results import Results
from prompt_hub.evaluate.runner import Measurement, measure
from prompt_hub.evaluate.scorers import SCORERS_VERSION, majority_baseline
from prompt_hub.models.call import ModelCaller
from prompt_hub.prompts.hashing import sha256_of
from prompt_hub.prompts.models import Example, Metadata, Prompt
from prompt_hub.prompts.repository import PromptRepository, examples_sha256


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
        examples = repository.examples(task)
        candidate = repository.whole(repository.draft(task), examples)
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
            examples=examples,
            examples_sha256=examples_sha256(examples),
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
        digest = inputs.digest(self._caller)
        remembered = None if self._fresh else self._results.get(names.verdict_key(digest))
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
        if inputs.unchanged(self._caller):
            decision = Decision(Status.UNCHANGED, ("the candidate is the released version",))
            return self._record(inputs, digest, decision, None, None, started)
        gate = inputs.metadata.gate
        engine = Engine(
            self._caller,
            budget=gate.budget,
            seconds_per_call=inputs.metadata.limits.seconds_per_call,
            store=self._store,
        )
        self._say_estimate(engine, inputs)
        progress = Progress(engine)
        try:
            measured, champion = await asyncio.gather(
                self._arm(inputs.candidate, inputs, engine, progress),
                self._rival_arm(inputs, engine, progress),
            )
        finally:
            progress.finish()
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
        task = inputs.candidate.task
        keys = [names.evaluation_details_key(self._execution, task)]
        # What could not be measured must be tried again, so only real verdicts are remembered.
        if decision.status is not Status.NOT_MEASURED:
            keys.append(names.verdict_details_key(digest))
        for key in keys:
            champions = detail_lines("champion", champion) if champion is not None else ()
            self._results.put_lines(key, chain(detail_lines("candidate", measured), champions))
        if decision.status is not Status.NOT_MEASURED:
            self._results.put(names.verdict_key(digest), record.to_json())
        return record

    def _say_estimate(self, engine: Engine, inputs: Inputs) -> None:
        scored = [example for example in inputs.examples if example.split == "eval"]
        arms = [inputs.candidate, *([inputs.rival] if inputs.rival else [])]
        asked = [Asked(prompt=arm, questions=[one.input for one in scored]) for arm in arms]
        if inputs.judge is not None:
            # What will be answered is not known yet; what should be is about as long.
            graded = [question(one, one.expected) for one in scored] * len(arms)
            asked.append(Asked(prompt=inputs.judge, questions=graded))
        estimate = engine.estimate(asked)
        words = estimate.in_words(inputs.metadata.gate.budget)
        self._say(f"{inputs.candidate.task}: {words}")
        if engine.damaged:
            self._say(f"{engine.damaged} stored responses cannot be read and are asked for again")

    async def _rival_arm(
        self, inputs: Inputs, engine: Engine, progress: Progress
    ) -> Measurement | None:
        return await self._arm(inputs.rival, inputs, engine, progress) if inputs.rival else None

    async def _arm(
        self, prompt: Prompt, inputs: Inputs, engine: Engine, progress: Progress
    ) -> Measurement:
        return await measure(
            prompt,
            inputs.examples,
            inputs.metadata,
            engine,
            judge=inputs.judge,
            progress=progress.arm(f"{prompt.task} {prompt.version}"),
        )

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
