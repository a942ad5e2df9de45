"""Who may import whom: the contracts in pyproject.toml, and what they cannot say.

import-linter holds the contracts (`make lint`). It reads packages only and does not know when an
import happens, so two things are read from the syntax trees here: what single files (the Lambda's,
`app.py`) may import, and what must not run at synth. That heavy packages are imported lazily is
asked of a real interpreter.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest

import prompt_hub
from cdk_app.lambda_modules import CARRIED_MODULES
from tests.unit.module_imports import imports_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pipeline_image/prompt_hub", "cdk_app", "stacks", "local_aws", "benchmarks")

CORE_PACKAGES = {"pydantic", "pydantic_core", "yaml", "jinja2"}
"""Third-party packages that every module of the product may import."""
EAGER_ADAPTERS = {
    "prompt_hub.cli.serve": {"uvicorn"},
    "prompt_hub.console.app": {"fastapi"},
    "prompt_hub.llm.providers._chat_completions": {"aiohttp", "openai"},
    "prompt_hub.llm.providers._openai_batches": {"aiohttp", "openai"},
    "prompt_hub.llm.providers._requests": {"aiohttp", "openai"},
    "prompt_hub.scoring.patterns": {"re2"},
    "prompt_hub.scoring.similarity": {"rapidfuzz"},
    "prompt_hub.service.declared_api": {"fastapi"},
    "prompt_hub.service.server": {"uvicorn"},
    "prompt_hub.service.time_limits": {"uvicorn", "httptools"},
}
"""The modules that import a heavy package when they are loaded; everything else loads them late."""
EMPTY_PACKAGES = {"prompt_hub", "prompt_hub.core", "prompt_hub.llm", "prompt_hub.llm.providers"}
"""Packages whose `__init__` imports nothing, so that a part of them can be imported alone."""
WORLD = {"subprocess", "socket", "http", "urllib", "time", "ssl", "asyncio", "boto3", "openai"}
"""Modules with which a synth could reach git, a network or a clock."""
WORLD_CALLS = {"from_lookup", "now", "utcnow", "today"}

PLANTED = {
    "layers": ("prompt_hub/core/files.py", "import prompt_hub.evaluation.record"),
    "lambda": ("prompt_hub/ledger/items.py", "import pydantic"),
    "cdk": ("cdk_app/settings.py", "import prompt_hub.evaluation.results"),
    "stacks": ("cdk_app/settings.py", "import stacks.service"),
    "product": ("prompt_hub/core/files.py", "import stacks.image"),
    "local-aws": ("local_aws/ports.py", "import prompt_hub.core.aws_names"),
    "local-aws-importers": ("benchmarks/gate/study.py", "import local_aws.ports"),
    "aws": ("prompt_hub/gate/rules.py", "def late() -> None:\n    import boto3"),
    "models": ("prompt_hub/batch/runner.py", "from openai import OpenAI"),
    "http": ("prompt_hub/gate/rules.py", "def later() -> None:\n    import fastapi"),
    "uvicorn": ("prompt_hub/service/http.py", "import uvicorn"),
    "re2": ("prompt_hub/validation/check.py", "import re2"),
    "rapidfuzz": ("prompt_hub/reporting/diff.py", "import rapidfuzz"),
    "json-schema": ("prompt_hub/batch/mapping.py", "import jsonschema_rs"),
    "shtab": ("prompt_hub/cli/main.py", "import shtab"),
    "cdk-packages": ("prompt_hub/release/plan.py", "import aws_cdk"),
}
"""For each contract a file, and an import in it that breaks the contract."""


def contracts() -> dict[str, str]:
    """Id and name of every contract."""
    return {contract["id"]: contract["name"] for contract in settings_of_contracts()}


def settings_of_contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [*settings["tool"]["importlinter"]["contracts"]]


def lint(tree: Path) -> dict[str, str]:
    """KEPT or BROKEN for each contract, on the packages below `tree`."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=tree,
        env={"PYTHONPATH": f"{tree / 'pipeline_image'}:{tree}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = re.findall(r"^(.+) (KEPT|BROKEN)$", done.stdout, re.MULTILINE)
    ids = {name: key for key, name in contracts().items()}
    assert verdicts, done.stdout + done.stderr
    assert (done.returncode != 0) == any(verdict == "BROKEN" for _, verdict in verdicts)
    return {ids[name]: verdict for name, verdict in verdicts}


def test_the_product_keeps_every_contract() -> None:
    assert lint(ROOT) == dict.fromkeys(contracts(), "KEPT")


def test_every_contract_can_be_broken(tmp_path: Path) -> None:
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, code in PLANTED.values():
        path = tmp_path / ("pipeline_image" if file.startswith("prompt_hub") else "") / file
        path.write_text(f"{path.read_text(encoding='utf-8')}\n\n{code}\n", encoding="utf-8")
    assert PLANTED.keys() == contracts().keys(), "plant a breach of every contract"
    assert lint(tmp_path) == dict.fromkeys(contracts(), "BROKEN")


def test_every_package_that_the_product_imports_is_core_or_somebodys_own() -> None:
    owned = {
        module
        for contract in settings_of_contracts()
        for module in contract.get("protected_modules", [])
    }
    for file in sorted((ROOT / "pipeline_image").rglob("*.py")):
        for imported in imports_of(file):
            known = sys.stdlib_module_names | CORE_PACKAGES | owned | {"prompt_hub"}
            assert imported.package in known, f"{file.name}:{imported.line}: {imported.module}"


def test_the_contract_of_the_lambda_is_about_what_the_lambda_carries() -> None:
    (contract,) = (found for found in settings_of_contracts() if found["id"] == "lambda")
    assert contract["source_modules"] == list(CARRIED_MODULES)


def test_heavy_packages_are_imported_late() -> None:
    heavy = sorted(set.union(*EAGER_ADAPTERS.values()) | {"boto3", "botocore", "jsonschema_rs"})
    names = [module.name for module in walk_packages(prompt_hub.__path__, "prompt_hub.")]
    plain = [name for name in names if name not in EAGER_ADAPTERS and "__main__" not in name]
    assert set(names) >= EAGER_ADAPTERS.keys(), "an adapter has moved: mend the list"
    script = (
        "import sys\nfrom importlib import import_module\n"
        f"for name in {plain}:\n"
        "    import_module(name)\n"
        f"    early = sorted(set(sys.modules) & set({heavy}))\n"
        "    assert not early, f'{name} imports {early}'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def lambda_faults(file: Path) -> Iterator[str]:
    """What a file of a Lambda may not import: all but boto3, its folder and what it carries."""
    siblings = {path.stem for path in file.parent.glob("*.py")}
    for imported in imports_of(file):
        ours = imported.package == "prompt_hub"
        safe = imported.module in EMPTY_PACKAGES or imported.module.startswith(CARRIED_MODULES)
        known = sys.stdlib_module_names | {"boto3", "botocore"} | siblings
        if (ours and not safe) or (not ours and imported.package not in known):
            yield f"{file.name}:{imported.line}: a Lambda does not carry {imported.module}"


def synth_faults(file: Path) -> Iterator[str]:
    """What must not happen at synth: git, a network, a clock, a look-up."""
    for imported in imports_of(file):
        if imported.package in WORLD:
            yield f"{file.name}:{imported.line}: no {imported.module} at synth"
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in WORLD_CALLS:
            yield f"{file.name}:{node.lineno}: no {node.attr}() at synth"


def cdk_files() -> list[Path]:
    """Every file that a synth runs."""
    return [ROOT / "app.py", *(ROOT / "cdk_app").rglob("*.py"), *(ROOT / "stacks").rglob("*.py")]


def test_a_lambda_imports_what_it_carries() -> None:
    files = list((ROOT / "lambdas").rglob("*.py"))
    assert files, "the Lambdas have moved: mend the rule"
    assert [fault for file in files for fault in lambda_faults(file)] == []


def test_nothing_reaches_out_at_synth() -> None:
    assert len(cdk_files()) > 20, "the CDK code has moved: mend the rule"
    assert [fault for file in cdk_files() for fault in synth_faults(file)] == []


@pytest.mark.parametrize("package", sorted(EMPTY_PACKAGES))
def test_packages_of_which_parts_travel_alone_import_nothing(package: str) -> None:
    folder = ROOT / "pipeline_image" / Path(*package.split("."))
    assert list(imports_of(folder / "__init__.py")) == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("import pydantic", "a.py:1: a Lambda does not carry pydantic"),
        ("from prompt_hub import repository", "a.py:1: a Lambda does not carry prompt_hub.rep"),
        ("from prompt_hub.core import files", "a.py:1: a Lambda does not carry prompt_hub.core.f"),
        ("def f() -> None:\n    import yaml", "a.py:2: a Lambda does not carry yaml"),
    ],
)
def test_what_a_lambda_lacks_is_found(tmp_path: Path, code: str, fault: str) -> None:
    (tmp_path / "a.py").write_text(code)
    assert [found[: len(fault)] for found in lambda_faults(tmp_path / "a.py")] == [fault]
    (tmp_path / "a.py").write_text(
        "import json\nimport boto3\nimport a\nfrom prompt_hub.core import aws_names\n"
        "from prompt_hub.ledger.table import Ledger\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import mypy_boto3_sns\n"
    )
    assert list(lambda_faults(tmp_path / "a.py")) == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("import subprocess", "a.py:1: no subprocess at synth"),
        ("import boto3", "a.py:1: no boto3 at synth"),
        ("from datetime import datetime\ndatetime.now()", "a.py:2: no now() at synth"),
        ("def f(vpc: object) -> None:\n    vpc.from_lookup()", "a.py:2: no from_lookup() at"),
    ],
)
def test_what_reaches_out_at_synth_is_found(tmp_path: Path, code: str, fault: str) -> None:
    (tmp_path / "a.py").write_text(code)
    assert [found[: len(fault)] for found in synth_faults(tmp_path / "a.py")] == [fault]
