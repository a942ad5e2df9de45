"""Which tasks a change of the repository concerns: those whose verdict could be another one."""

from __future__ import annotations

from collections.abc import Callable

from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.inputs import Inputs
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig
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
    So does any prompt whose alias was another model, or one elsewhere, by `models_before`.

    Raises:
        PromptHubError: the task cannot be read as it is now.
    """

    def resolve_before(prompt: Prompt) -> ModelConfig:
        if models_before is None:
            return client.resolve(prompt)
        return models_before.resolve(prompt.model.alias)

    inputs = Inputs.of(now, task)
    digest, endpoints = _hashes(inputs, client.resolve)
    try:
        digest_before, endpoints_before = _hashes(Inputs.of(before, task), resolve_before)
    except PromptHubError:
        return True  # It was not there, or nobody could have evaluated it.
    if digest != digest_before:
        return True
    if inputs.unchanged(client):
        return False  # Nobody would be asked.
    released = inputs.champion is not None and inputs.comparison_target is None
    return released or endpoints != endpoints_before


def _hashes(inputs: Inputs, resolve: Callable[[Prompt], ModelConfig]) -> tuple[str, str]:
    return inputs.digest(lambda prompt: resolve(prompt).identity), inputs.endpoints(resolve)
