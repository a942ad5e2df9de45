"""Which tasks a change of the repository concerns: those whose verdict could be another one."""

from __future__ import annotations

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.inputs import Inputs
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Prompt


def has_changed(
    task: str,
    now: PromptRepository,
    before: PromptRepository,
    client: ModelClient,
    models_before: ModelAliases | None = None,
) -> bool:
    """Whether anything that decides the verdict of `task` is not as it was in `before`.

    A released version whose model has become another one counts too: no file of it has changed.
    So does any prompt whose alias was another model by `models_before`.

    Raises:
        PromptHubError: the task cannot be read as it is now.
    """

    def identity(prompt: Prompt) -> str:
        return client.resolve(prompt).identity

    def identity_before(prompt: Prompt) -> str:
        if models_before is None:
            return identity(prompt)
        return models_before.resolve(prompt.model.alias).identity

    inputs = Inputs.of(now, task)
    digest = inputs.digest(identity)
    try:
        digest_before = Inputs.of(before, task).digest(identity_before)
    except PromptHubError:
        return True  # It was not there, or nobody could have evaluated it.
    if digest != digest_before:
        return True
    released = inputs.champion is not None and inputs.comparison_target is None
    return released and not inputs.unchanged(client)
