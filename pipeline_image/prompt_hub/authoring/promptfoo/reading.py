"""The files of a promptfoo project, found from its folder as promptfoo finds them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pydantic import JsonValue

from prompt_hub.authoring.importing.documents import (
    Node,
    Unkept,
    broken,
    parsed_json_lines,
    parsed_rows,
    parsed_yaml,
    text_in,
)
from prompt_hub.repository.contracts import referred

MAX_NAME = 255
"""Bytes of a file's name: a longer one is a text, and no file system has it."""
REFERENCE = "file://"
_STARS = re.compile(r"\*{2,}")


class Project:
    """The files of one configuration, found from its folder as promptfoo finds them."""

    def __init__(self, config: Path) -> None:
        self._folder = config.resolve().parent
        read = self.load(config.resolve())
        self.config = Node(_without_references(read.data, read.data), read.source)

    def find(self, reference: str, beside: str | None = None) -> list[Path]:
        """Return the files that `file://…` or a plain path names; a pattern may name several.

        They are looked for in the configuration's folder, or in that of its file `beside`.
        """
        name = reference.removeprefix(REFERENCE)
        folder = self._folder if beside is None else (self._folder / beside).parent
        if any(len(part.encode()) > MAX_NAME for part in Path(name).parts):
            return []
        pattern = name.replace("\\", "/")
        if any(mark in pattern for mark in "*?[") and not Path(pattern).is_absolute():
            # Beside other characters '**' is '*' to promptfoo, and an error to Python.
            parts = [part if part == "**" else _STARS.sub("*", part) for part in pattern.split("/")]
            hidden = parts[-1].startswith(".")
            return sorted(
                path
                for path in folder.glob("/".join(parts))
                if path.is_file() and (hidden or not path.name.startswith("."))
            )
        return [folder / name]

    def text(self, path: Path) -> str:
        """Return a file's text; raises `InvalidDocumentsError`, also for one outside the project.

        What is read ends up in the repository: a stranger's configuration must not name one's keys.
        """
        inside = (self._folder, Path.cwd())
        if not any(_target(path).is_relative_to(folder) for folder in inside):
            found = "a file outside the configuration's folder and the working directory"
            raise broken(str(path), 1, found, "a file of the project")
        if path.is_dir():
            raise broken(self.name(path), 1, "a folder", "a file")
        return text_in(path, self.name(path))

    def name(self, path: Path) -> str:
        """Return a file's name as people see it: from the configuration's folder."""
        resolved = _target(path)
        if resolved.is_relative_to(self._folder):
            return resolved.relative_to(self._folder).as_posix()
        return str(path)

    def load(self, path: Path) -> Node:
        """Return a file as a value: a list of rows for CSV, of lines for JSON lines.

        Raises `InvalidDocumentsError` for a file that is missing, broken, or no data.
        """
        name, text = self.name(path), self.text(path)
        match path.suffix.lower():
            case ".yaml" | ".yml" | ".json":
                return parsed_yaml(text, name)
            case ".jsonl":
                return parsed_json_lines(text, name)
            case ".csv":
                return parsed_rows(text, name)
        raise broken(name, 1, f"a {path.suffix or 'nameless'} file", "YAML, JSON, JSONL or CSV")

    def resolved(self, node: Node | None) -> Node | None:
        """Return the value that a `file://` reference stands for; any other value is itself."""
        if node is None or not isinstance(node.data, str) or not node.data.startswith(REFERENCE):
            return node
        for path in self.find(node.data):
            return self.load(path)
        raise broken(*node.place, f"{node.data[:80]}, which no file is called", "a file")


def _target(path: Path) -> Path:
    """Return where links lead; unlike `Path.resolve` it takes a circle of them, too."""
    return Path(os.path.realpath(path))


def _without_references(value: JsonValue, root: JsonValue) -> JsonValue:
    """Return a configuration in which `{$ref: '#/a/b'}`, which promptfoo replaces, is not kept."""
    match value:
        case Unkept():
            return value
        case {"$ref": str() as reference} if referred(reference, root) is not None:
            return Unkept(f"it stands elsewhere ({reference}); write it out where it is used")
        case dict():
            return {key: _without_references(item, root) for key, item in value.items()}
        case list():
            return [_without_references(item, root) for item in value]
    return value
