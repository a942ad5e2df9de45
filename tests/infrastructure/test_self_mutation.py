"""The pipeline updates itself, brings the toolchain along, and does not chase its own tail."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

from prompt_hub.release.checked_templates import assembly_of
from tests.infrastructure.synthesised import ROOT, Assembly

FIRST = "1f0c5d2e-0a4b-4f0e-9a35-8d1f7f0c6a11"
SECOND = "2e9d7c40-7d15-4f7c-8b0e-51a2c3d4e5f6"
SAID = (
    "pip install --requirement requirements.txt",
    "pip install --require-hashes --only-binary :all: --requirement requirements-install.lock",
    "python -m uv pip install --require-hashes --only-binary :all:"
    ' --python "$(command -v python)" --requirement requirements.lock',
    "npm ci --include=dev",
    "python pipeline_image/validate_prompt.py",
    "python pipeline_image/validate_prompt.py --tell",
    "python -m prompt_hub.release.code_tests",
    "cdk synth --quiet",
    "npx --no-install cdk synth --quiet",
    "node_modules/.bin/cdk synth --quiet"
    " --app 'python -m prompt_hub.release.checked_templates python app.py'",
)
"""What Synth has said in any release. The pipeline of an older one says it to a newer tree, for it
changes itself only afterwards; so nothing is taken out here."""


@pytest.fixture(scope="module")
def releases(synthesise: Callable[..., Assembly]) -> tuple[Assembly, Assembly]:
    """The same commit, synthesised for two executions."""
    return synthesise(release=FIRST), synthesise(release=SECOND)


def test_self_mutation_deploys_the_pipeline_stack_with_the_pinned_cli(assembly: Assembly) -> None:
    pinned = json.loads((ROOT / "package.json").read_text())["devDependencies"]["aws-cdk"]
    phases = assembly.build_spec("UpdatePipeline/SelfMutate")["phases"]

    assert phases["install"]["commands"] == [f"npm install -g aws-cdk@{pinned}"]
    assert phases["build"]["commands"][0].startswith("cdk -a . deploy prompt-hub-pipeline ")
    # Synth runs the same one, and npm checks its hash.
    assert (
        "npm ci --include=dev"
        in (assembly.build_spec("Build/Synth")["phases"]["install"]["commands"])
    )
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert locked["node_modules/aws-cdk"]["version"] == pinned
    assert locked["node_modules/aws-cdk"]["integrity"].startswith("sha512-")


def test_what_synth_says_is_written_down(assembly: Assembly) -> None:
    phases = assembly.build_spec("Build/Synth")["phases"]
    said = [*phases["install"]["commands"], *phases["build"]["commands"]]
    assert [words for words in said if words not in SAID] == []


@pytest.mark.parametrize("command", SAID)
def test_an_older_pipeline_is_understood_until_it_has_changed_itself(command: str) -> None:
    words = [word for part in shlex.split(command) for word in part.split(" ")]
    files = [word for word in words if word.endswith((".py", ".lock", ".txt"))]
    assert [name for name in files if not (ROOT / name).is_file()] == []
    modules = [word for word in words if word.startswith("prompt_hub.")]
    assert [name for name in modules if find_spec(name) is None] == []
    if "--tell" in words:
        told = [sys.executable, *words[1:2], "--help"]
        done = subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "--tell" in done.stdout


def test_the_pinned_asset_publisher_reads_what_the_pinned_library_writes(
    assembly: Assembly,
) -> None:
    (spec,) = assembly.path.glob("buildspec-*-FileAsset.yaml")
    assert "npm install -g cdk-assets@4.7.3" in spec.read_text()
    manifest = json.loads((assembly.path / "manifest.json").read_text())
    assert manifest["version"].split(".")[0] == "54", "4.7.3 reads schema 54: move both together"


def test_the_pipeline_restarts_when_it_has_changed_itself(assembly: Assembly) -> None:
    pipeline = assembly.only("pipeline", "AWS::CodePipeline::Pipeline")
    assert pipeline["RestartExecutionOnUpdate"] is True
    assert pipeline["PipelineType"] == "V2"


def test_only_the_service_changes_with_the_release(releases: tuple[Assembly, Assembly]) -> None:
    first, second = releases
    changed = {name for name in first.templates if first.templates[name] != second.templates[name]}
    assert changed == {"prompt-hub-dev-service"}


def test_what_the_pipeline_stack_deploys_is_byte_for_byte_the_same(
    releases: tuple[Assembly, Assembly],
) -> None:
    def written(assembly: Assembly) -> dict[str, bytes]:
        files = [*assembly.path.glob("prompt-hub-*.template.json"), *assembly.path.glob("*.yaml")]
        return {file.name: file.read_bytes() for file in files}

    first, second = map(written, releases)
    assert "prompt-hub-pipeline.template.json" in first
    assert first == second


def test_the_release_is_the_image_tag_and_nothing_else_of_the_service(
    releases: tuple[Assembly, Assembly],
) -> None:
    first, second = (json.dumps(each.templates["prompt-hub-dev-service"]) for each in releases)
    assert first.count(FIRST) == 2
    assert first.replace(FIRST, SECOND) == second
    container = _container(releases[0])
    assert json.dumps(container["Image"]).endswith(f'/prompt-hub:{FIRST}"]]}}')
    assert {"Name": "PROMPT_HUB_RELEASE", "Value": FIRST} in container["Environment"]


def test_an_assembly_is_remembered_whatever_its_release_and_for_nothing_else(
    releases: tuple[Assembly, Assembly], synthesise: Callable[..., Assembly]
) -> None:
    first, second = (
        assembly_of(each.path, release)
        for each, release in zip(releases, (FIRST, SECOND), strict=True)
    )
    assert first == second
    names = {name for name in first if name.endswith(".template.json")}
    assert len(names) == len(releases[0].templates)
    other = synthesise({"tags": {"team": "other"}}, release=SECOND)
    tagged = assembly_of(other.path, SECOND)
    # GitHub's own role is not made by default: its stack has nothing to tag.
    assert {name for name in names if tagged[name] == first[name]} <= {
        "prompt-hub-github-oidc.template.json"
    }


def test_synth_learns_the_release_from_the_execution(assembly: Assembly) -> None:
    environment = assembly.environment("Build/Synth")
    assert environment["PROMPT_HUB_RELEASE"] == "#{codepipeline.PipelineExecutionId}"


def _container(assembly: Assembly) -> dict[str, Any]:
    definition = assembly.only("dev-service", "AWS::ECS::TaskDefinition")
    (container,) = definition["ContainerDefinitions"]
    assert isinstance(container, dict)
    return container
