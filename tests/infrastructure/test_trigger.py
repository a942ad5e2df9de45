"""People's commits start the pipeline, promotion's do not."""

from __future__ import annotations

import pytest

from local_aws.globs import glob_matches
from tests.infrastructure.synthesised import ROOT, Assembly


@pytest.fixture(scope="module")
def patterns(assembly: Assembly) -> list[str]:
    (trigger,) = assembly.only("pipeline", "AWS::CodePipeline::Pipeline")["Triggers"]
    (push,) = trigger["GitConfiguration"]["Push"]
    assert push["Branches"] == {"Includes": ["main"]}
    assert set(push["FilePaths"]) == {"Includes"}, "exclude lists never win over includes here"
    assert trigger["GitConfiguration"]["SourceActionName"] == "Source"
    includes = push["FilePaths"]["Includes"]
    assert isinstance(includes, list)
    return includes


def starts(patterns: list[str], *paths: str) -> bool:
    """Whether a commit that touches `paths` starts the pipeline."""
    return any(glob_matches(pattern, path) for pattern in patterns for path in paths)


def test_there_are_no_more_patterns_than_codepipeline_takes(patterns: list[str]) -> None:
    assert 1 <= len(patterns) <= 8
    assert all(len(pattern) <= 255 for pattern in patterns)


@pytest.mark.parametrize(
    "path",
    [
        "prompts/00-templates/part-class.yaml",
        "prompts/00-templates/blocks/units.txt",
        "prompts/01-examples/part-class.jsonl",
        "prompts/03-metadata/part-class.yaml",
        "pipeline_image/prompt_hub/service/http.py",
        "pipeline_image/Dockerfile",
        "cdk_app/nag.py",
        "stacks/pipeline.py",
        "lambdas/rollback/handler.py",
        "scorers/parts.py",
        "tests/unit/test_names.py",
        "app.py",
        "cdk.json",
        "package.json",
        "package-lock.json",
        "pyproject.toml",
        "requirements.txt",
        "requirements.lock",
        "requirements-install.lock",
        "pipeline_image/requirements.lock",
        ".dockerignore",
        "Makefile",
    ],
)
def test_a_change_by_people_starts_the_pipeline(patterns: list[str], path: str) -> None:
    assert starts(patterns, path)


def test_a_commit_of_promotion_starts_nothing(patterns: list[str]) -> None:
    assert not starts(
        patterns,
        "prompts/02-production/part-class.yaml",
        "prompts/04-evals/part-class/1.1.0.json",
        "prompts/04-evals/part-class/1.1.0.jsonl",
        "prompts/99-archive/part-class/1.0.0.yaml",
        "prompt_registry.yaml",
    )


def test_documents_start_nothing(patterns: list[str]) -> None:
    assert not starts(patterns, "README.md", "docs/operations.md", ".github/workflows/checks.yml")


def test_every_file_that_the_app_or_the_image_is_made_of_starts_the_pipeline(
    patterns: list[str],
) -> None:
    folders = ("pipeline_image", "cdk_app", "stacks", "lambdas")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    files += [ROOT / "app.py", ROOT / "cdk.json", ROOT / "package.json"]
    assert len(files) > 30
    for file in files:
        assert starts(patterns, file.relative_to(ROOT).as_posix())
