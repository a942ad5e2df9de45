"""The pipeline updates itself, brings the toolchain along, and does not chase its own tail."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infrastructure.synthesised import ROOT, Assembly


@pytest.fixture(scope="module")
def releases(synthesise: Callable[..., Assembly]) -> tuple[Assembly, Assembly]:
    """The same commit, synthesised for two executions."""
    return synthesise(release="1f0c-first"), synthesise(release="2e9d-second")


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
    assert first.count("1f0c-first") == 2
    assert first.replace("1f0c-first", "2e9d-second") == second
    container = _container(releases[0])
    assert json.dumps(container["Image"]).endswith('/prompt-hub:1f0c-first"]]}')
    assert {"Name": "PROMPT_HUB_RELEASE", "Value": "1f0c-first"} in container["Environment"]


def test_synth_learns_the_release_from_the_execution(assembly: Assembly) -> None:
    environment = assembly.environment("Build/Synth")
    assert environment["PROMPT_HUB_RELEASE"] == "#{codepipeline.PipelineExecutionId}"


def _container(assembly: Assembly) -> dict[str, Any]:
    definition = assembly.only("dev-service", "AWS::ECS::TaskDefinition")
    (container,) = definition["ContainerDefinitions"]
    assert isinstance(container, dict)
    return container
