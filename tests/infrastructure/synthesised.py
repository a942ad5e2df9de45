"""The app, synthesised in memory, and ways to look at what came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from aws_cdk import App

from cdk_app.settings import CONTEXT_KEY, Settings
from cdk_app.tasks import Task
from docs import example_app
from prompt_hub.core import aws_names
from prompt_hub.repository.schema import ScoreWatch
from stacks.assembly import add_stacks

ROOT = Path(__file__).resolve().parents[2]
CONTEXT: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
"""The context of cdk.json, which `App()` does not read by itself."""
# A user's own may have a name of its own; names are asserted as the default has them.
CONTEXT[CONTEXT_KEY].pop("installation", None)

Json = dict[str, Any]


def task(name: str, *, budget_seconds: float = 1800, **watch: int) -> Task:
    """A task whose watch runs every quarter of an hour."""
    return Task(name=name, watch=ScoreWatch(**watch), budget_seconds=budget_seconds)


TASKS = example_app.TASKS


def checked_app(settings: Mapping[str, object], output: Path) -> Assembly:
    """Let `app.py` write with these settings, cdk-nag included, which ends it red if it finds any.

    What this process is called by, and whether it checks, is not said to it.
    """
    left_out = {"CDK_VALIDATION", aws_names.ENV_INSTALLATION}
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    context = json.dumps({**CONTEXT, CONTEXT_KEY: settings})
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**environment, "CDK_CONTEXT_JSON": context, "CDK_OUTDIR": str(output)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return Assembly(output)


@dataclass(frozen=True)
class Assembly:
    """What a synthesis wrote."""

    path: Path

    @cached_property
    def templates(self) -> dict[str, Json]:
        """Every template by its stack's name, stages included."""
        found = {}
        for manifest in self.path.rglob("manifest.json"):
            for artifact_id, artifact in json.loads(manifest.read_text())["artifacts"].items():
                if artifact["type"] == "aws:cloudformation:stack":
                    properties = artifact["properties"]
                    name = properties.get("stackName", artifact_id)
                    template = manifest.parent / properties["templateFile"]
                    found[name] = json.loads(template.read_text())
        return found

    def resources(self, stack: str, kind: str) -> dict[str, Json]:
        """The properties of the resources of one type in `prompt-hub-<stack>`, by logical id."""
        return {
            logical_id: resource.get("Properties", {})
            for logical_id, resource in self.templates[f"prompt-hub-{stack}"]["Resources"].items()
            if resource["Type"] == kind
        }

    def only(self, stack: str, kind: str) -> Json:
        """The one resource of its type."""
        (found,) = self.resources(stack, kind).values()
        return found

    @cached_property
    def actions(self) -> dict[str, Json]:
        """The pipeline's actions by `Stage/Action`, in order, their environment unpacked."""
        return {
            f"{stage['Name']}/{action['Name']}": action
            for stage in self.only("pipeline", "AWS::CodePipeline::Pipeline")["Stages"]
            for action in sorted(stage["Actions"], key=lambda item: cast(int, item["RunOrder"]))
        }

    def environment(self, action: str) -> dict[str, str]:
        """What an action adds to its project's environment."""
        variables = self.actions[action]["Configuration"].get("EnvironmentVariables", "[]")
        return {load["name"]: load["value"] for load in json.loads(variables)}

    def project(self, action: str) -> Json:
        """The CodeBuild project that an action of the pipeline stack runs."""
        name = self.actions[action]["Configuration"]["ProjectName"]
        return self.resources("pipeline", "AWS::CodeBuild::Project")[name["Ref"]]

    def build_spec(self, action: str) -> Json:
        """The build specification of an action."""
        return cast(Json, json.loads(self.project(action)["Source"]["BuildSpec"]))

    def statements(self, stack: str) -> dict[str, list[Json]]:
        """The policy statements of each role of a stack, by the role's logical id."""
        found: dict[str, list[Json]] = {}
        for policy in self.resources(stack, "AWS::IAM::Policy").values():
            for role in policy["Roles"]:
                found.setdefault(role["Ref"], []).extend(policy["PolicyDocument"]["Statement"])
        return found

    def role_of(self, action: str) -> list[Json]:
        """The statements of the role that an action's build has."""
        return self.statements("pipeline")[self.project(action)["ServiceRole"]["Fn::GetAtt"][0]]


def build(
    outdir: Path,
    changes: Mapping[str, object] | None = None,
    *,
    tasks: tuple[Task, ...] = TASKS,
    release: str = "unreleased",
    context: Mapping[str, object] | None = None,
) -> App:
    """The app with changed settings or context, other tasks or another release, not synthesised."""
    app = App(context={**CONTEXT, **(context or {})}, outdir=str(outdir))
    settings = Settings.from_context({**CONTEXT[CONTEXT_KEY], **(changes or {})})
    add_stacks(app, settings=settings, tasks=tasks, release=release, root=ROOT)
    return app


def lint(*templates: Path) -> str:
    """What cfn-lint finds in templates, but for what the CDK's own validation takes care of."""
    words = ["--ignore-checks", "E3703", "W3005", "W3010", "--template", *map(str, templates)]
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{done.stdout}{done.stderr}exit {done.returncode}" if done.returncode else ""


def listed(value: object) -> list[Any]:
    """IAM writes one element without its list."""
    return value if isinstance(value, list) else [value]
