"""The rollback Lambda's asset: what it may import and nothing else, put together without Docker."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cdk_app.lambda_modules import CARRIED_MODULES
from tests.infrastructure.synthesised import ROOT, Assembly


@pytest.fixture(scope="module")
def bundle(assembly: Assembly) -> Path:
    (path,) = (item for item in assembly.path.rglob("asset.*") if item.is_dir())
    return path


def test_the_asset_holds_the_handler_and_the_shared_modules_only(bundle: Path) -> None:
    found = {file.relative_to(bundle).as_posix() for file in bundle.rglob("*") if file.is_file()}
    own = {file.name for file in (ROOT / "lambdas" / "rollback").glob("*.py")}
    package = ROOT / "pipeline_image"
    carried = [package.joinpath(*module.split(".")) for module in CARRIED_MODULES]
    assert "handler.py" in own
    assert found == {
        *own,
        "windows.json",
        "prompt_hub/__init__.py",
        "prompt_hub/core/__init__.py",
        *(
            file.relative_to(package).as_posix()
            for module in carried
            for file in (module.glob("*.py") if module.is_dir() else [module.with_suffix(".py")])
        ),
    }


def test_it_knows_what_a_breach_of_every_task_is_and_how_often_it_is_measured(bundle: Path) -> None:
    windows = json.loads((bundle / "windows.json").read_text(encoding="utf-8"))
    assert windows == {
        "part-class": [1, 1, 15],
        "shop-category": [2, 3, 60],
        "prompt-hub-drill": [1, 1, 1],
    }


def test_no_compiled_file_is_shipped(bundle: Path) -> None:
    assert not [path for path in bundle.rglob("*") if path.name == "__pycache__"]


def test_it_imports_the_standard_library_boto3_and_itself_only(bundle: Path) -> None:
    own = {path.stem for path in bundle.iterdir()}
    for file in bundle.rglob("*.py"):
        for imported in _imports(file):
            root = imported.split(".")[0]
            assert root in {*sys.stdlib_module_names, *own, "boto3", "botocore"}, (file, imported)
            if root == "prompt_hub":
                empty = {"prompt_hub", "prompt_hub.core"}
                assert imported in empty or imported.startswith(CARRIED_MODULES)


def test_it_loads_from_the_asset_alone(bundle: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import handler, prompt_hub.ledger.table as t;"
        "print(handler.__file__, t.__file__, callable(handler.handler))"
    )
    done = subprocess.run(
        # Isolated, and with a -B of its own: looking must not leave compiled files behind.
        [sys.executable, "-I", "-B", "-c", code, str(bundle)],
        capture_output=True,
        text=True,
        check=True,
    )
    handler, table, is_callable = done.stdout.split()
    assert Path(handler).is_relative_to(bundle)
    assert Path(table).is_relative_to(bundle)
    assert is_callable == "True"


def test_its_name_is_its_content(bundle: Path, assembly: Assembly) -> None:
    function = assembly.only("dev-rollback", "AWS::Lambda::Function")
    assert function["Handler"] == "handler.handler"
    assert function["Runtime"] == "python3.13"
    assert function["Code"]["S3Key"] == f"{bundle.name.removeprefix('asset.')}.zip"
    assert set(function["Environment"]["Variables"]) == {
        "PROMPT_HUB_INSTALLATION",
        "PROMPT_HUB_STAGE",
        "PROMPT_HUB_LEDGER_TABLE",
        "PROMPT_HUB_TOPIC_ARN",
    }


def _imports(file: Path) -> list[str]:
    """What a file imports at run time; imports for type checkers cost nothing and need nothing."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "prompt_hub":
            found += [f"prompt_hub.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found
