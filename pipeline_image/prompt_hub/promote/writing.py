"""The files of the bot layers, as they stand on disk."""

from __future__ import annotations

from prompt_hub.prompts.models import Prompt, Registry
from prompt_hub.prompts.writing import as_yaml

_PROMPT_HEADER = (
    "# Written by promotion. A hand edit breaks the lock: change 00-templates instead.\n"
)
_REGISTRY_HEADER = "# What git has released. Written only by promotion.\n"


def prompt_text(prompt: Prompt) -> str:
    """A released prompt as it stands in `02-production` and `99-archive`."""
    return _PROMPT_HEADER + as_yaml(prompt.to_file())


def registry_text(registry: Registry) -> str:
    """The registry as it stands in `prompt_registry.yaml`, tasks and versions sorted."""
    return _REGISTRY_HEADER + as_yaml(registry.to_file())
