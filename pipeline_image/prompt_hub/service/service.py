"""Answers one call with the active prompt: checks, asks the model, logs. Knows no HTTP."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prompt_hub.core.errors import PromptHubError
from prompt_hub.llm.client import Answer, ModelClient, ModelUnavailableError
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.refusal import without_values
from prompt_hub.release.manifest import VersionKey
from prompt_hub.repository.rendering import RenderError
from prompt_hub.repository.schema import JsonObject, Prompt
from prompt_hub.service.input_check import field_problems
from prompt_hub.service.ledger_poller import LedgerPoller, ServedVersion
from prompt_hub.service.logging import Call, Outcome, log_call

SECONDS_PER_CALL = 60.0
"""Longest wait for a model where metadata names none."""


class ServiceError(Exception):
    """A call that has no output: `code` for programs, the message for people."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class UnknownTaskError(ServiceError):
    """No such task in this image."""


class NotActiveError(ServiceError):
    """The task exists, but no version of it is active in this stage yet."""


class RetiredError(ServiceError):
    """The task is known, but git has no version of it released any more."""


class NotCarriedError(ServiceError):
    """The ledger has a version of the task active that this image does not carry."""


class InvalidFieldsError(ServiceError):
    """The fields do not fit the prompt's input schema."""


class InvalidOutputError(ServiceError):
    """The model's answer does not keep the prompt's output contract."""


class NoAnswerError(ServiceError):
    """The model gave no answer; trying again may help."""


class BrokenPromptError(ServiceError):
    """The prompt cannot be rendered with fields that fit its schema."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """This very process, so that people see that it is the same one before and after a rollback."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())


@dataclass(kw_only=True)
class _Asked:
    """What came of asking a model once: an answer that keeps its contract, or a refusal."""

    outcome: Outcome = "ok"
    model: ModelConfig | None = None
    answer: Answer | None = None
    refusal: ServiceError | None = None
    logged_problem: str = ""
    """What the log says more than the caller is told; no field's value stands in it."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A valid answer and what it came from."""

    task: str
    served: ServedVersion
    model: str
    answer: Answer
    output: JsonObject


class PromptService:
    """The active prompts of one image in one stage."""

    def __init__(
        self,
        *,
        stage: str,
        release: str,
        prompts: Mapping[VersionKey, Prompt],
        seconds_per_call: Mapping[str, float],
        follower: LedgerPoller,
        caller: ModelClient,
    ) -> None:
        self.stage = stage
        self.release = release
        self.instance = Instance()
        self.follower = follower
        self._prompts = prompts
        self._seconds_per_call = seconds_per_call
        self._caller = caller

    @property
    def known_tasks(self) -> list[str]:
        """Every task that the image has a version of."""
        return sorted({task for task, _ in self._prompts})

    async def close(self) -> None:
        """Give back the connections to models."""
        await self._caller.close()

    async def run(self, task: str, fields: JsonObject, trace_id: str) -> Answered:
        """Answer one record with the active version of `task`; raises a kind of `Refused`."""
        served = self._served(task)
        prompt = self._prompts[task, served.reference.version]
        problems = field_problems(fields, prompt.input)
        if problems:
            words = "; ".join(
                f"{problem['field'] or 'fields'} {problem['problem']}" for problem in problems
            )
            raise InvalidFieldsError(
                "invalid_fields", f"the fields do not fit: {words}", fields=problems
            )
        return await self._ask(task, served, prompt, fields, trace_id)

    def _served(self, task: str) -> ServedVersion:
        view = self.follower.view
        served = view.served.get(task)
        if served is not None:
            return served
        wanted = view.refused.get(task)
        if wanted is not None:
            raise NotCarriedError(
                "not_carried",
                f"{task} {wanted.version} is active in {self.stage}, and the image of release "
                f"{self.release} does not carry it",
            )
        known = self.known_tasks
        if task not in known:
            raise UnknownTaskError(
                "unknown_task",
                f"there is no task {task!r}; there are: {', '.join(known) or 'none'}",
                tasks=known,
            )
        if task not in self.follower.champions:
            raise RetiredError(
                "retired", f"{task} is retired: no version of it is released any more"
            )
        raise NotActiveError("not_active", f"no version of {task} is active in {self.stage} yet")

    async def _ask(
        self, task: str, served: ServedVersion, prompt: Prompt, fields: JsonObject, trace_id: str
    ) -> Answered:
        started = time.perf_counter()
        asked = await self._put(prompt, fields)
        refusal = asked.refusal
        # What is wrong with an output may quote it.
        problem = refusal.message if refusal and asked.outcome != "invalid_output" else None
        log_call(
            Call(
                stage=self.stage,
                task=task,
                version=prompt.version,
                sha256=prompt.sha256,
                release=self.release,
                instance=self.instance.id,
                trace_id=trace_id,
                model=asked.model,
            ),
            asked.outcome,
            seconds=time.perf_counter() - started,
            answer=asked.answer,
            problem=asked.logged_problem or problem,
        )
        if refusal is not None:
            raise refusal
        model, answer = asked.model, asked.answer
        assert model is not None
        assert answer is not None
        assert answer.output is not None
        return Answered(
            task=task, served=served, model=model.identity, answer=answer, output=answer.output
        )

    async def _put(self, prompt: Prompt, fields: JsonObject) -> _Asked:
        """Ask the model once, and say what came of it; never raises for what may go wrong there."""
        seconds = self._seconds_per_call.get(prompt.task, SECONDS_PER_CALL)
        asked = _Asked()
        try:
            asked.model = self._caller.resolve(prompt)
            async with asyncio.timeout(seconds):
                asked.answer = await self._caller.call(prompt, fields, timeout=seconds)
        except RenderError:
            # The renderer's own words may quote the caller's fields.
            asked.outcome = "prompt_broken"
            message = f"{prompt.task} {prompt.version} cannot be rendered"
            asked.refusal = BrokenPromptError(asked.outcome, message)
        except TimeoutError:
            asked.outcome = "model_unavailable"
            message = f"the model gave no answer within {seconds:g} s"
            asked.refusal = NoAnswerError(asked.outcome, message)
        except ModelUnavailableError as error:
            asked.outcome = "model_unavailable"
            asked.refusal = NoAnswerError(asked.outcome, error.public_message)
            asked.logged_problem = without_values(error.message, fields)
        except PromptHubError as error:
            asked.outcome = "model_unavailable"
            asked.refusal = NoAnswerError(asked.outcome, error.message)
        else:
            if not asked.answer.valid or asked.answer.output is None:
                asked.outcome = "invalid_output"
                message = f"the model's answer breaks the output contract: {asked.answer.problem}"
                asked.refusal = InvalidOutputError(asked.outcome, message)
        return asked
