"""The version that answers follows what is active, where a task's records ask for that."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal

from prompt_hub.batch.active_version import active_version
from prompt_hub.batch.backends import Backend, LocalBackend, RecordAnswer, VersionInfo
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.llm.client import ModelClient
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import JsonObject, Prompt

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 15.0


class FollowingBackend:
    """Answers with the version that is active when a record's turn comes."""

    def __init__(
        self,
        prompt: Prompt,
        client: ModelClient,
        look: Callable[[], Prompt],
        *,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with `prompt`; `look` finds out which one is active, and may block."""
        self._prompt = prompt
        self._client = client
        self._look = look
        self._timeout = timeout
        self._clock = clock
        self._backend = LocalBackend(prompt, client, timeout=timeout)
        self._looked = clock()

    @property
    def answered_by(self) -> VersionInfo:
        """What answers now."""
        return self._backend.answered_by

    async def answer(self, fields: JsonObject, record: int = 0) -> RecordAnswer:
        """Answer one record; raises `ModelUnavailableError` when no answer came at all."""
        if self._clock() - self._looked >= LOOK_EVERY_SECONDS:
            self._looked = self._clock()
            await self._follow()
        return await self._backend.answer(fields, record)

    async def _follow(self) -> None:
        try:
            prompt = await asyncio.to_thread(self._look)
        except PromptHubError as error:
            # As the service does: what was active last goes on, until somebody says otherwise.
            logger.warning("the active version is not known: %s", error.message)
            return
        if prompt.sha256 == self._prompt.sha256:
            return
        if prompt.input != self._prompt.input:
            raise PromptHubError(
                f"{prompt.task} {prompt.version} is active now and takes other fields than"
                f" {self._prompt.version}.",
                hint="Run the same command again: it reads the records for that version.",
                exit_code=ExitCode.NOT_MEASURED,
            )
        logger.info("%s %s answers from now on", prompt.task, prompt.version)
        self._prompt = prompt
        self._backend = LocalBackend(prompt, self._client, timeout=self._timeout)


def local_backend(
    repository: PromptRepository,
    prompt: Prompt,
    client: ModelClient,
    versions: Literal["pin", "follow"],
) -> Backend:
    """Return what answers with `prompt` from this process, or with what is active later."""
    timeout = repository.metadata(prompt.task).limits.seconds_per_call
    if versions == "pin":
        return LocalBackend(prompt, client, timeout=timeout)

    def look() -> Prompt:
        return active_version(repository, prompt.task)[0]

    return FollowingBackend(prompt, client, look, timeout=timeout)
