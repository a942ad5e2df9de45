"""Pipelines on the local AWS, and the repositories that they are fed from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prompt_hub.core import aws_names
from tests.local_aws.emulator import ACCOUNT, REGION, ROOT, LocalAws, eventually

APP = Path(__file__).parent / "fixtures" / "pipeline_app"
CDK = ROOT / "node_modules" / ".bin" / "cdk"
FIXTURE, PLAIN = "example/fixture", "example/plain"
FINAL = {"Succeeded", "Failed", "Superseded", "Cancelled", "Stopped"}


@dataclass
class Repository:
    """A bare repository and a working clone of it."""

    bare: Path
    work: Path

    @classmethod
    def make(cls, folder: Path, files: Mapping[str, str]) -> Repository:
        repository = cls(folder / "remote.git", folder / "work")
        repository.work.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", repository.bare], check=True)
        repository.git("init", "-q", "-b", "main")
        repository.git("remote", "add", "origin", str(repository.bare))
        repository.push(files)
        return repository

    def git(self, *words: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        done = subprocess.run(
            ["git", *identity, *words], cwd=self.work, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def push(self, files: Mapping[str, str]) -> str:
        """Commit `files` on top of the remote's branch and push; answers the commit."""
        if self.git("ls-remote", "origin", "main"):
            self.git("pull", "-q", "--rebase", "origin", "main")
        for name, text in files.items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_text(text)
        self.git("add", ".")
        self.git("commit", "-q", "-m", f"change {', '.join(files)}")
        self.git("push", "-q", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def head(self, name: str) -> str:
        self.git("fetch", "-q", "origin")
        return self.git("show", f"origin/main:{name}")


@dataclass
class Pipelines:
    """Shorthands for the pipelines of one emulator."""

    aws: LocalAws
    fixture: Repository
    plain: Repository
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def api(self) -> Any:
        return self.aws.client("codepipeline")

    def cdk(self, *words: str, cwd: Path | None = None) -> None:
        started = time.monotonic()
        done = subprocess.run(
            [CDK, *words],
            cwd=cwd or self.fixture.work,
            env=os.environ | self.aws.environment | {"FIXTURE_PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        self.seconds[f"cdk {words[0]}"] = round(time.monotonic() - started, 1)

    def executions(self, pipeline: str) -> list[dict[str, Any]]:
        """Newest first."""
        listed = self.api.list_pipeline_executions(pipelineName=pipeline)
        found: list[dict[str, Any]] = listed["pipelineExecutionSummaries"]
        return found

    def execution(self, pipeline: str, id_: str) -> dict[str, Any]:
        return next(
            item for item in self.executions(pipeline) if item["pipelineExecutionId"] == id_
        )

    def ended(self, pipeline: str, id_: str, *, seconds: float = 60) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            item = self.execution(pipeline, id_)
            return item if item["status"] in FINAL else None

        found = eventually(probe, seconds=seconds, what=f"the end of execution {id_}")
        assert found is not None
        return found

    def started_by(self, pipeline: str, commit: str) -> str:
        """The execution that a push started."""

        def probe() -> str | None:
            for execution in self.executions(pipeline):
                if commit in execution["trigger"]["triggerDetail"]:
                    return str(execution["pipelineExecutionId"])
            return None

        found = eventually(probe, seconds=60, what="an execution for the push")
        assert found is not None
        return found

    def start_on_rollback(self, pipeline: str) -> None:
        """Make the rule that `cdk_app.trigger` makes."""
        events = self.aws.client("events")
        pattern = {
            "source": [aws_names.event_source()],
            "detail-type": [aws_names.EVENT_ROLLED_BACK],
        }
        events.put_rule(Name="rolled-back", EventPattern=json.dumps(pattern))
        target = {
            "Id": "Target0",
            "Arn": f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:{pipeline}",
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/events",
        }
        events.put_targets(Rule="rolled-back", Targets=[target])

    def started_by_event(self, pipeline: str, known: set[str]) -> str:
        """Return the execution beyond those `known` that an event started."""

        def started() -> str | None:
            for execution in self.executions(pipeline):
                if execution["pipelineExecutionId"] not in known:
                    assert execution["trigger"]["triggerType"] == "CloudWatchEvent"
                    return str(execution["pipelineExecutionId"])
            return None

        found = eventually(started, seconds=60, what="an execution for the event")
        assert found is not None
        return found

    def actions(self, pipeline: str, id_: str) -> dict[str, dict[str, Any]]:
        details = self.api.list_action_executions(
            pipelineName=pipeline, filter={"pipelineExecutionId": id_}
        )["actionExecutionDetails"]
        return {detail["actionName"]: detail for detail in reversed(details)}

    def approve(self, pipeline: str, id_: str, status: str = "Approved") -> None:
        """Answer the approval that the execution `id_` waits for."""

        def token() -> str | None:
            for stage in self.api.get_pipeline_state(name=pipeline)["stageStates"]:
                if stage.get("latestExecution", {}).get("pipelineExecutionId") == id_:
                    for action in stage["actionStates"]:
                        latest = action.get("latestExecution", {})
                        if latest.get("token") and latest["status"] == "InProgress":
                            return str(latest["token"])
            return None

        self.api.put_approval_result(
            pipelineName=pipeline,
            stageName="Gate",
            actionName="Approve",
            result={"status": status, "summary": "as a test"},
            token=eventually(token, what="an approval"),
        )

    def plain_pipeline(
        self,
        name: str,
        *stages: tuple[str, list[dict[str, Any]]],
        clone: bool = False,
        paths: Sequence[str] = (),
    ) -> str:
        """Create a pipeline; answers the execution that its creation starts.

        `clone`: builds get a full clone of the repository, not a copy of its files. `paths`: what a
        push must touch to start it; every push does where there are none.
        """
        take = action(
            "Take",
            ("Source", "CodeStarSourceConnection"),
            {
                "FullRepositoryId": PLAIN,
                "BranchName": "main",
                "ConnectionArn": f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/local",
                **({"OutputArtifactFormat": "CODEBUILD_CLONE_REF"} if clone else {}),
            },
            outputs=["Tree"],
            namespace="Taken",
        )
        self.api.create_pipeline(
            pipeline={
                "name": name,
                "roleArn": f"arn:aws:iam::{ACCOUNT}:role/pipeline",
                "artifactStore": {"type": "S3", "location": "plain-artifacts"},
                "stages": [
                    {"name": stage, "actions": actions}
                    for stage, actions in [("Source", [take]), *stages]
                ],
                "pipelineType": "V2",
                **({"triggers": [_on_push(paths)]} if paths else {}),
            }
        )
        return str(self.executions(name)[0]["pipelineExecutionId"])

    def project(
        self,
        name: str,
        *commands: str,
        logs: Mapping[str, object] | None = None,
        **more: object,
    ) -> None:
        spec = {"version": "0.2", "phases": {"build": {"commands": list(commands)}}, **more}
        self.aws.client("codebuild").create_project(
            name=name,
            source={"type": "CODEPIPELINE", "buildspec": json.dumps(spec)},
            artifacts={"type": "CODEPIPELINE"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole=f"arn:aws:iam::{ACCOUNT}:role/build",
            **({"logsConfig": logs} if logs else {}),
        )


def _on_push(paths: Sequence[str]) -> dict[str, Any]:
    push = {"branches": {"includes": ["main"]}, "filePaths": {"includes": list(paths)}}
    return {
        "providerType": "CodeStarSourceConnection",
        "gitConfiguration": {"sourceActionName": "Take", "push": [push]},
    }


def action(
    name: str,
    type_: tuple[str, str],
    configuration: dict[str, str] | None = None,
    *,
    inputs: tuple[str, ...] | list[str] = (),
    outputs: tuple[str, ...] | list[str] = (),
    order: int = 1,
    namespace: str = "",
) -> dict[str, Any]:
    category, provider = type_
    return {
        "name": name,
        "actionTypeId": {
            "category": category,
            "owner": "AWS",
            "provider": provider,
            "version": "1",
        },
        "configuration": configuration or {},
        "inputArtifacts": [{"name": text} for text in inputs],
        "outputArtifacts": [{"name": output} for output in outputs],
        "runOrder": order,
    } | ({"namespace": namespace} if namespace else {})


def build(name: str, project: str, variables: Mapping[str, str] | None = None, **more: Any) -> Any:
    message = [{"name": key, "value": value} for key, value in (variables or {}).items()]
    configuration = {"ProjectName": project, "EnvironmentVariables": json.dumps(message)}
    more.setdefault("inputs", ["Tree"])
    return action(name, ("Build", "CodeBuild"), configuration, **more)


GATE = ("Gate", [action("Approve", ("Approval", "Manual"))])
