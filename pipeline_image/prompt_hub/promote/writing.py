"""Bot layers as YAML that people can read: keys in order, long texts as blocks."""

from __future__ import annotations

import yaml

from prompt_hub.prompts.models import Prompt, Registry

_SCHEMA = "# yaml-language-server: $schema={path}.schemas/{name}.schema.json\n"
_PROMPT_HEADER = (
    "# Written by promotion. A hand edit breaks the lock: change 00-templates instead.\n"
)
_REGISTRY_HEADER = "# What git has released. Written only by promotion.\n"


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a literal block."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def prompt_text(prompt: Prompt, *, depth: int = 1) -> str:
    """A released prompt as it stands in `02-production`, or in `99-archive`, which is 2 deep."""
    return (
        _SCHEMA.format(path="../" * depth, name="prompt") + _PROMPT_HEADER + _dump(prompt.to_file())
    )


def registry_text(registry: Registry) -> str:
    """The registry as it stands in `prompt_registry.yaml`, tasks and versions sorted."""
    return (
        _SCHEMA.format(path="prompts/", name="registry")
        + _REGISTRY_HEADER
        + _dump(registry.to_file())
    )


def _dump(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
