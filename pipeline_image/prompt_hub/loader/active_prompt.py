"""One active version, as a caller uses it: messages of a record, and what an answer holds."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.log_setup import timestamp
from prompt_hub.llm.answer_text import holds_answer_behind_thinking, without_thinking
from prompt_hub.llm.config import reasoning_tokens
from prompt_hub.llm.response import output_in
from prompt_hub.loader.plain_fields import plain_fields
from prompt_hub.release.ledger_poller import ServedVersion, Source
from prompt_hub.repository.contracts import Contract
from prompt_hub.repository.input_check import in_words, problems_in
from prompt_hub.repository.registry import RegisteredModel
from prompt_hub.repository.rendering import Renderer
from prompt_hub.repository.schema import JsonObject, Parameter, Prompt


class InvalidFieldsError(PromptHubError):
    """A record breaks the prompt's input contract; `fields` says of each field what is wrong.

    No value is repeated, neither in the words nor in `fields`.
    """

    def __init__(self, fields: list[dict[str, str]]) -> None:
        super().__init__(in_words(fields) + ".", exit_code=ExitCode.BLOCKED)
        self.fields = fields


class InvalidAnswerError(PromptHubError):
    """A model's answer breaks the prompt's output contract; the words may quote the answer."""

    def __init__(self, problem: str) -> None:
        message = f"the model's answer breaks the output contract: {problem}."
        super().__init__(message, exit_code=ExitCode.BLOCKED)


class RenderableVersion:
    """One version in the folder, with what is the same for all of its records."""

    def __init__(self, prompt: Prompt, model: RegisteredModel) -> None:
        self.prompt = prompt
        self.model = model
        self.renderer = Renderer(prompt)
        self.reasoning_tokens = reasoning_tokens(model.identity)

    @cached_property
    def input_contract(self) -> Contract:
        """What the fields are held against."""
        return Contract(self.prompt.input)


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivePrompt:
    """The version of a task that was active when it was asked for, and stays this one."""

    stage: str
    release: str
    """The release that the folder holds."""
    instance: str
    """This loader, told apart from all others."""
    served: ServedVersion
    _version: RenderableVersion

    @property
    def task(self) -> str:
        """Name of the task."""
        return self._version.prompt.task

    @property
    def version(self) -> str:
        """The version's number."""
        return self.served.reference.version

    @property
    def sha256(self) -> str:
        """Hash of everything in the version that can change an answer."""
        return self.served.reference.sha256

    @property
    def source(self) -> Source:
        """Who says that it is active: the ledger, or the snapshot in the folder."""
        return self.served.source

    @property
    def revision(self) -> int:
        """The ledger's revision that made it active; 0 from a snapshot."""
        return self.served.revision

    @property
    def model(self) -> str:
        """The model that the version was measured on, such as `openai:gpt-4.1-mini`.

        Of one that reasons it ends with how hard, and in how many tokens: `+reasoning-low-1024`.
        """
        return self._version.model.identity

    @property
    def model_alias(self) -> str:
        """The name by which the prompt asks for a model."""
        return self._version.prompt.model.alias

    @property
    def parameters(self) -> dict[Parameter, float | int]:
        """The sampling parameters that it was measured with; a copy.

        Where that model reasons, `max_tokens` has room for its thinking.
        """
        parameters = dict(self._version.prompt.model.parameters)
        if "max_tokens" in parameters:
            parameters["max_tokens"] += self._version.reasoning_tokens or 0
        return parameters

    @property
    def input_schema(self) -> JsonObject:
        """JSON Schema of the fields; a copy."""
        return deepcopy(self._version.prompt.input)

    @property
    def output_schema(self) -> JsonObject:
        """JSON Schema of the answer, for providers that take one; a copy."""
        return deepcopy(self._version.prompt.output)

    def render(self, fields: JsonObject) -> list[dict[str, str]]:
        """Return the chat messages for one record; an enum among its fields stands for its value.

        Raises:
            InvalidFieldsError: the record breaks the input contract, or is no JSON.
            RenderError: the templates can make nothing of it.
        """
        version = self._version
        plain, problems = plain_fields(fields)
        problems = problems or problems_in(plain, version.input_contract.violations(plain))
        if problems:
            raise InvalidFieldsError(problems)
        return version.renderer.render(plain)

    def parse(self, text: str | None) -> JsonObject:
        """Return the object that a model's answer holds; None is an answer without content.

        Thinking before it is taken off where the model that it was measured on reasons.

        Raises:
            InvalidAnswerError: the answer breaks the output contract.
        """
        text = text or ""
        if self._version.reasoning_tokens is not None:
            text = without_thinking(text)
        output, problem = output_in(text, self._version.prompt)
        if output is None:
            if holds_answer_behind_thinking(text):
                # The application chose the model: no alias of ours says that it reasons.
                problem = "thinking stands before it; take that off before `parse`"
            raise InvalidAnswerError(problem or "there is none")
        return output

    def stamp(self, *, outcome: str = "ok", trace_id: str | None = None) -> JsonObject:
        """Return what says which version answered, under the names of the execution log.

        Logged as one JSON line, it is what `prompt-hub trace` reads. No field and no answer is in
        it.
        """
        return {
            "event": "prompt_call",
            "time": timestamp(),
            "outcome": outcome,
            "stage": self.stage,
            "task": self.task,
            "version": self.version,
            "sha256": self.sha256,
            "release": self.release,
            "revision": self.revision,
            "instance": self.instance,
            "trace_id": trace_id,
        }
