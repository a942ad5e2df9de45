"""YAML that people can read: keys in order, long texts as blocks."""

from __future__ import annotations

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a literal block."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(value: object) -> str:
    """A JSON value as YAML."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
