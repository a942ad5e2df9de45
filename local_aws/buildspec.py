"""What a buildspec asks for, and the zip files that artifacts are."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_aws.globs import GlobError, compile_glob, glob_matches

KEYS = {"version", "env", "phases", "artifacts", "cache", "reports"}
"""What a buildspec may have; caches and reports are not acted on."""
PHASES = ("install", "pre_build", "build", "post_build")
_VARIABLES = {
    "variables": "PLAINTEXT",
    "parameter-store": "PARAMETER_STORE",
    "secrets-manager": "SECRETS_MANAGER",
}


class BuildspecError(Exception):
    """A buildspec is broken, or asks for what is not acted on here; says what."""


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Which files of a build become one artifact."""

    files: Sequence[str]
    base: str
    exclude: Sequence[str]
    flat: bool

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Artifacts:
        """Read one block of `artifacts`; raises `BuildspecError`."""
        files, exclude = _listed(raw, "files"), _listed(raw, "exclude-paths")
        for pattern in (*files, *exclude):
            try:
                compile_glob(pattern)
            except GlobError as error:
                raise BuildspecError(f"artifacts of the buildspec: {error}") from None
        return cls(
            files=files,
            base=raw.get("base-directory", "."),
            exclude=exclude,
            flat=str(raw.get("discard-paths", "no")).lower() in {"yes", "true"},
        )


@dataclass(frozen=True, kw_only=True)
class Buildspec:
    """A buildspec, version 0.2: what of it is acted on. `variables` have name, value and type."""

    shell: str
    variables: Sequence[Mapping[str, str]]
    exported: Sequence[str]
    commands: Mapping[str, Sequence[str]]
    finally_: Mapping[str, Sequence[str]]
    primary: Artifacts | None
    secondary: Mapping[str, Artifacts]

    @classmethod
    def parse(cls, text: str) -> Buildspec:
        """Read YAML or JSON; raises `BuildspecError`."""
        try:
            raw = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise BuildspecError(f"the buildspec is not YAML: {error}") from error
        if not isinstance(raw, dict) or str(raw.get("version")) != "0.2":
            raise BuildspecError("the buildspec must be a map with version: 0.2")
        if unknown := ", ".join(sorted(set(raw) - KEYS)):
            raise BuildspecError(f"the local AWS does not act on {unknown} in a buildspec")
        env, phases, artifacts = (raw.get(key) or {} for key in ("env", "phases", "artifacts"))
        for name, phase in phases.items():
            if name not in PHASES:
                raise BuildspecError(f"unknown phase {name!r} in the buildspec")
            if phase.get("on-failure", "ABORT") != "ABORT":
                raise BuildspecError("the local AWS knows no on-failure but ABORT")
        secondary = artifacts.get("secondary-artifacts") or {}
        return cls(
            shell=env.get("shell", "sh"),
            variables=[
                {"name": name, "value": str(value), "type": kind}
                for key, kind in _VARIABLES.items()
                for name, value in (env.get(key) or {}).items()
            ],
            exported=_listed(env, "exported-variables"),
            commands={name: _listed(phase, "commands") for name, phase in phases.items()},
            finally_={name: _listed(phase, "finally") for name, phase in phases.items()},
            primary=Artifacts.parse(artifacts) if artifacts.get("files") else None,
            secondary={name: Artifacts.parse(item) for name, item in secondary.items()},
        )


def _listed(raw: Mapping[str, Any], key: str) -> list[str]:
    found = raw.get(key) or []
    return [str(item) for item in (found if isinstance(found, list) else [found])]


def pack(artifact: Artifacts, root: Path, target: Path) -> int:
    """Zip the files of `artifact` under `root` into `target`; answers how many there were."""
    base = root / artifact.base
    count = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for folder, folders, names in os.walk(base):
            folders.sort()
            for name in sorted(names):
                path = Path(folder) / name
                relative = path.relative_to(base).as_posix()
                if _any_matches(artifact.files, relative) and not _any_matches(
                    artifact.exclude, relative
                ):
                    file.write(path, name if artifact.flat else relative)
                    count += 1
    return count


def _any_matches(patterns: Sequence[str], path: str) -> bool:
    return any(glob_matches(pattern, path) for pattern in patterns)


def unpack(archive: Path, target: Path) -> None:
    """Unzip `archive` into `target`, permissions included."""
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            path = Path(file.extract(member, target))
            mode = stat.S_IMODE(member.external_attr >> 16)
            if mode and not member.is_dir():
                path.chmod(mode)
