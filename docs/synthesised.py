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
    stage: str = ""
    """The stage that it is deployed with; empty in the toolchain."""

    def number(self, name: str) -> int:
        """Return a property that is a number; templates write some of them as text."""
        return int(cast(str, self.properties[name]))

    def text(self, name: str) -> str:
        """Return a property that is a text, empty where it is missing."""
        return cast(str, self.properties.get(name, ""))


def read_resources(folder: Path) -> list[Resource]:
    """Read every resource of every stack of the app in `folder`, stages first.

    Raises:
        AssemblyError: if there is no synthesised app in `folder`, or a part of it is missing.
    """
    found = list(_resources(folder, stage=""))
    if not found:
        raise AssemblyError(
            f"{folder}: found no synthesised stack; expected a folder that `cdk synth` wrote."
        )
    return found


def _resources(folder: Path, *, stage: str) -> Iterator[Resource]:
    """Follow the manifest: CDK leaves the folders of stages that are no more where they are."""
    artifacts = cast(dict[str, Json], _read(folder / "manifest.json").get("artifacts", {}))
    for name, artifact in sorted(artifacts.items()):
        properties = cast(dict[str, str], artifact.get("properties", {}))
        if artifact["type"] == "cdk:cloud-assembly":
            nested = folder / properties["directoryName"]
            yield from _resources(nested, stage=properties.get("displayName", name))
        elif artifact["type"] == "aws:cloudformation:stack":
            template = _read(folder / properties["templateFile"])
            resources = cast(dict[str, Json], template["Resources"])
            for logical_id, resource in resources.items():
                yield Resource(
                    stack=properties.get("stackName", name),
                    logical_id=logical_id,
                    kind=cast(str, resource["Type"]),
                    properties=cast(Json, resource.get("Properties", {})),
                    template=template,
                    stage=stage,
                )


def _read(path: Path) -> Json:
    try:
        return cast(Json, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise AssemblyError(
            f"{path}: found no such file, so no synthesised stack; expected a folder that"
            " `cdk synth` wrote."
        ) from error
