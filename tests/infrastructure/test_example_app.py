"""The example that the pages are about, and how a synthesised app is read."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest

from cdk_app.settings import CONTEXT_KEY
from docs import costs_page, example_app, permissions_page
from docs.synthesised import AssemblyError, Resource, read_resources
from tests.infrastructure.synthesised import CONTEXT, Assembly

pytestmark = pytest.mark.shipped


def test_the_example_is_the_cdk_json_that_we_ship_with_records_and_people_on_call() -> None:
    shipped = example_app.CONTEXT[CONTEXT_KEY]
    assert isinstance(shipped, dict)
    if CONTEXT[CONTEXT_KEY]["repository"] != shipped["repository"]:
        pytest.skip("cdk.json is a user's own: it names another repository")
    expected = copy.deepcopy(CONTEXT)
    (stage,) = expected[CONTEXT_KEY]["stages"]
    stage.setdefault("records", {})
    engineer = "arn:aws:iam::123456789012:role/engineer"
    stage.setdefault("on_call", {"principals": [engineer], "repair": True})
    assert expected == example_app.CONTEXT, "copy the context of cdk.json"


def test_what_is_left_of_a_stage_that_is_no_more_is_not_read(
    example: Assembly, resources: list[Resource], tmp_path: Path
) -> None:
    """CDK writes into a folder that is there, and cleans nothing away."""
    folder = tmp_path / "cdk.out"
    shutil.copytree(example.path, folder)
    shutil.copytree(folder / "assembly-dev", folder / "assembly-old")
    assert read_resources(folder) == resources
    assert {resource.stage for resource in resources} == {"", "dev"}


def test_a_stage_whose_folder_is_missing_is_named(example: Assembly, tmp_path: Path) -> None:
    folder = tmp_path / "cdk.out"
    shutil.copytree(example.path, folder, ignore=shutil.ignore_patterns("assembly-dev"))
    with pytest.raises(AssemblyError, match=r"assembly-dev/manifest\.json: found no such file"):
        read_resources(folder)


def test_a_folder_without_an_app_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssemblyError, match=r"found no .*synthesised stack; expected a folder"):
        read_resources(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(AssemblyError, match="found no synthesised stack; expected a folder"):
        read_resources(tmp_path)


def test_a_command_on_a_folder_without_an_app_ends_with_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="found no such file, so no synthesised stack"):
        costs_page.main([str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        permissions_page.main(["--diff", str(tmp_path), str(tmp_path)])
    assert ended.value.code == 2
    assert "found no such file, so no synthesised stack" in capsys.readouterr().err
