"""The files of the bot layers, as they stand on disk."""

from __future__ import annotations

from prompt_hub.repository.registry import Registry
from prompt_hub.repository.schema import Prompt
from prompt_hub.repository.yaml_writer import as_yaml, schema_line

_PROMPT_HEADER = (
    "# Written by promotion. A hand edit breaks the lock: change 00-templates instead.\n"
)
_REGISTRY_HEADER = "# What git has released. Written only by promotion.\n"


def prompt_text(prompt: Prompt, *, depth: int = 1) -> str:
    """Return a released prompt as `02-production` has it, or `99-archive`, which is 2 deep."""
    return schema_line("prompt", up="../" * depth) + _PROMPT_HEADER + as_yaml(prompt.to_file())


def registry_text(registry: Registry) -> str:
    """Return the registry as it stands in `prompt_registry.yaml`, tasks and versions sorted."""
    text = _REGISTRY_HEADER + as_yaml(registry.to_file())
    return schema_line("registry", up="prompts/") + text
