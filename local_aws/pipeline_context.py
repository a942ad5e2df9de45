"""What an action of a pipeline is given, and how it says that it failed."""

from __future__ import annotations

import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws import clients, service_calls, source
from local_aws.builds import Place
from local_aws.buildspec import unpack
from local_aws.permission_checks import Check
from local_aws.service_roles import ServiceRole
from local_aws.settings import CloudSettings

POLL_SECONDS = 0.3


class ActionFailedError(Exception):
    """Why an action failed: CodePipeline's code, one sentence, and what a log says about it."""

    def __init__(self, code: str, summary: str, details: str = "") -> None:
        super().__init__(summary)
        self.code = code
        self.summary = summary
        self.details = details or summary


class ActionStoppedError(Exception):
    """The execution was stopped while the action ran."""


@dataclass
class Artifact:
    """Where an artifact is: a zip in the artifact bucket, or a commit to be cloned in full."""

    bucket: str
    key: str
    clone: dict[str, str] | None = None


@dataclass
class ActionRun:
    """One run of one action, as ListActionExecutions tells it. Times are seconds since 1970."""

    id: str
    stage: str
    action: str
    started: float
    updated: float
    status: str = "InProgress"
    configuration: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    external_id: str = ""
    summary: str = ""
    error: dict[str, str] | None = None
    token: str = ""
    approval: dict[str, str] | None = None


@dataclass(kw_only=True)
class Context:
    """What an action is given. `artifacts` are those of the whole execution, by name."""

    settings: CloudSettings
    pipeline: str
    bucket: str
    action: Mapping[str, Any]
    run: ActionRun
    configuration: Mapping[str, str]
    artifacts: dict[str, Artifact]
    revision: Mapping[str, str]
    """Branch and commit to take instead of the branch's head; only for source actions."""
    stopped: Callable[[], bool]
    role: ServiceRole
    """The action's own, if it has one, which that of the pipeline assumes; else the pipeline's."""

    @property
    def inputs(self) -> list[str]:
        """Names of the artifacts that the action reads."""
        return [item["name"] for item in self.action.get("inputArtifacts", ())]

    @property
    def outputs(self) -> list[str]:
        """Names of the artifacts that the action makes."""
        return [item["name"] for item in self.action.get("outputArtifacts", ())]

    def setting(self, name: str) -> str:
        """Return a configuration value that the action cannot do without."""
        value = self.configuration.get(name)
        if not value:
            raise ActionFailedError(
                "ConfigurationError", f"the action's configuration lacks {name}"
            )
        return value

    def store(
        self, name: str, file: Path, clone: dict[str, str] | None = None, *, role: ServiceRole
    ) -> None:
        """Upload `file` as the artifact `name`, if `role` may."""
        key = f"{self.pipeline[:20]}/{name[:10]}/{uuid.uuid4().hex[:7]}"
        role.require(service_calls.of_artifact(self.bucket, key, write=True))
        clients.s3().upload_file(str(file), self.bucket, key)
        self.artifacts[name] = Artifact(self.bucket, key, clone)

    def fetch(self, name: str, target: Path) -> None:
        """Download the artifact `name` to the file `target`."""
        artifact = self._artifact(name)
        clients.s3().download_file(artifact.bucket, artifact.key, str(target))

    def place(self, name: str, role: ServiceRole) -> Place:
        """How a build gets at the artifact `name`, if its `role` may."""
        artifact = self._artifact(name)
        role.require(*self._reading(name))

        def unzip(where: Path) -> str:
            archive = where.with_suffix(".zip")
            self.fetch(name, archive)
            unpack(archive, where)
            archive.unlink()
            return f"arn:aws:s3:::{artifact.bucket}/{artifact.key}"

        def clone(where: Path) -> str:
            assert artifact.clone is not None
            repository = self.settings.repositories[artifact.clone["repository"]]
            commit = artifact.clone["commit"]
            source.clone(repository, artifact.clone["branch"], commit, where)
            return commit

        return clone if artifact.clone else unzip

    def read(self, location: str) -> str:
        """Return the text of a file in an artifact: `Artifact::path`."""
        name, _, path = location.partition("::")
        self.role.require(*self._reading(name))
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "artifact.zip"
            self.fetch(name, archive)
            try:
                with zipfile.ZipFile(archive) as file:
                    return file.read(path).decode("utf-8")
            except KeyError:
                raise ActionFailedError(
                    "ConfigurationError", f"{name} has no file {path}"
                ) from None

    def _reading(self, name: str) -> list[Check]:
        """Ask for the object, and for the connection too where that is only what to clone."""
        artifact = self._artifact(name)
        checks = [service_calls.of_artifact(artifact.bucket, artifact.key)]
        if artifact.clone:
            checks.append(service_calls.of_connection(artifact.clone["connection"]))
        return checks

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait until `done`; raises `ActionStoppedError` if the execution is stopped before."""
        while not done():
            if self.stopped():
                raise ActionStoppedError
            time.sleep(POLL_SECONDS)

    def _artifact(self, name: str) -> Artifact:
        if name not in self.artifacts:
            raise ActionFailedError(
                "ConfigurationError", f"no earlier action made the artifact {name}"
            )
        return self.artifacts[name]
