"""Read the templates in a folder that `cdk synth` has written, stages included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

Json = dict[str, object]


class AssemblyError(ValueError):
    """A folder holds no synthesised app."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource of a template, as CloudFormation would get it."""

    stack: str
    logical_id: str
    kind: str
    properties: Json
    template: Json

    def number(self, name: str) -> int:
        """Return a property that is a number; templates write some of them as text."""
        return int(cast(str, self.properties[name]))

    def text(self, name: str) -> str:
        """Return a property that is a text, empty where it is missing."""
        return cast(str, self.properties.get(name, ""))


def read_resources(folder: Path) -> list[Resource]:
    """Read every resource of every stack below `folder`, in the order of the templates.

    Raises:
        AssemblyError: if there is no synthesised app in `folder`.
    """
    found = list(_resources(folder))
    if not found:
        raise AssemblyError(
            f"{folder}: found no synthesised stack; expected a folder that `cdk synth` wrote."
        )
    return found


def _resources(folder: Path) -> Iterator[Resource]:
    for manifest in sorted(folder.rglob("manifest.json")):
        artifacts = json.loads(manifest.read_text(encoding="utf-8")).get("artifacts", {})
        for name, artifact in sorted(artifacts.items()):
            if artifact["type"] != "aws:cloudformation:stack":
                continue
            properties = artifact["properties"]
            path = manifest.parent / properties["templateFile"]
            template = json.loads(path.read_text(encoding="utf-8"))
            for logical_id, resource in template["Resources"].items():
                yield Resource(
                    stack=properties.get("stackName", name),
                    logical_id=logical_id,
                    kind=resource["Type"],
                    properties=resource.get("Properties", {}),
                    template=template,
                )
