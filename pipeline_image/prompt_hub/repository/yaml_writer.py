"""YAML that people can read: keys in order, long texts as blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import yaml

from prompt_hub.core.hidden_characters import has_hidden

_NUMBER_IN_YAML_1_2 = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|0o[0-7]+")
"""What is a text to us, who read YAML 1.1, and a number to many an editor: `0805`, `1e3`."""
_LINE = 80
"""Characters of a list or mapping that still reads well on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a literal block, and what nobody sees by escapes."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def write_double_quoted(self, text: str, split: bool = True) -> None:
        """Write a text between double quotes, all in ASCII where it holds what nobody sees."""
        unicode = self.allow_unicode
        self.allow_unicode = unicode and not has_hidden(text)
        super().write_double_quoted(text, split)
        self.allow_unicode = unicode


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _NUMBER_IN_YAML_1_2.fullmatch(text) else None
    if has_hidden(text):
        style = '"'  # as itself it would not be valid
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


class _CompactDumper(_Dumper):
    """Writes a short list or mapping of plain values on one line, as a person would."""

    def represent_sequence(
        self, tag: str, sequence: Iterable[object], flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        items = list(sequence)
        return super().represent_sequence(tag, items, flow_style=_fits_a_line(items))

    def represent_mapping(
        self, tag: str, mapping: object, flow_style: bool | None = None
    ) -> yaml.MappingNode:
        pairs = [*mapping.items()] if isinstance(mapping, dict) else []
        flow = _fits_a_line([item for pair in pairs for item in pair])
        return super().represent_mapping(tag, mapping, flow_style=flow)  # type: ignore[arg-type]


def _fits_a_line(items: Sequence[object]) -> bool:
    plain = all(item is None or isinstance(item, str | int | float) for item in items)
    return plain and len(str(items)) <= _LINE and not any("\n" in str(item) for item in items)


def schema_line(name: str, *, up: str) -> str:
    """Return the comment by which editors find the JSON Schema of a file.

    `up` leads to `prompts/`.
    """
    return f"# yaml-language-server: $schema={up}.schemas/{name}.schema.json\n"


def as_yaml(value: object, *, compact: bool = False) -> str:
    """Return a JSON value as YAML; `compact` where people go on writing."""
    dumper = _CompactDumper if compact else _Dumper
    return yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100)
