"""The import rules of the design (§1), read from the syntax tree of every file of the product."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CORE_PACKAGES = {"pydantic", "pydantic_core", "yaml", "jinja2", "jsonschema_rs"}
LAZY_IN_CORE = {"jsonschema_rs"}
"""Allowed in the core, but only inside functions: `--help` and start-up do not pay for them."""
ADAPTERS = {
    "prompt_hub.evaluation.results": {"boto3"},
    "prompt_hub.scoring.patterns": {"re2"},
    "prompt_hub.scoring.similarity": {"rapidfuzz"},
    "prompt_hub.llm.providers.openai": {"openai", "httpx2", "boto3", "botocore"},
    "prompt_hub.cli.activate": {"boto3"},
    "prompt_hub.cli.image": {"boto3"},
    "prompt_hub.cli.smoke_test": {"boto3"},
    "prompt_hub.service.http": {"fastapi", "starlette"},
    "prompt_hub.cli.serve": {"uvicorn"},
    "prompt_hub.service.metrics": {"boto3", "botocore"},
    "prompt_hub.cli.watch": {"boto3"},
}
"""The modules at the edge, and the heavy packages that each of them may import."""
EMPTY_PACKAGES = {"prompt_hub", "prompt_hub.core"}
"""Packages whose `__init__` imports nothing, so that a part of them can be imported alone."""
LAMBDA_SAFE = ("prompt_hub.core.aws_names", "prompt_hub.ledger")
CDK_SAFE = ("prompt_hub.core", "prompt_hub.repository")
CDK_PACKAGES = {"aws_cdk", "constructs", "cdk_nag", "jsii"}
AWS_PACKAGES = {"boto3", "botocore"}
OURS = {"prompt_hub", "cdk_app", "stacks", "lambdas", "local_aws", "app"}
WORLD = {"subprocess", "socket", "http", "urllib", "time", "ssl", "asyncio"}
"""Standard modules with which a synth could reach git, a network or a clock."""
WORLD_CALLS = {"from_lookup", "now", "utcnow", "today"}


@dataclass(frozen=True)
class Import:
    """One imported module, where, and whether it happens when the importing module is loaded."""

    file: Path
    line: int
    module: str
    at_load: bool

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.module.split(".")[0]

    def below(self, *modules: str) -> bool:
        """Whether the module is one of `modules` or inside one of them."""
        return any(
            self.module == module or self.module.startswith(module + ".") for module in modules
        )


def imports_of(file: Path, module: str) -> list[Import]:
    """Every import in a file; `module` is the file's own name, for relative imports.

    Imports under `if TYPE_CHECKING` are for the type checker only and left out.
    """
    found: list[Import] = []
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]

    def visit(node: ast.AST, at_load: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for other in node.orelse:
                visit(other, at_load)
            return
        if isinstance(node, ast.Import):
            found.extend(Import(file, node.lineno, alias.name, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*up, *([base] if base else [])])
            # `from a import b` may import the module a.b: both are looked at.
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
            found.extend(Import(file, node.lineno, name, at_load) for name in names)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, at_load and not inside)

    visit(ast.parse(file.read_text(encoding="utf-8"), str(file)), True)
    return found


def module_name(root: Path, file: Path) -> str:
    """The dotted name under which a file of the product is imported."""
    relative = file.relative_to(root)
    if relative.parts[0] == "pipeline_image":
        relative = relative.relative_to("pipeline_image")
    return ".".join(relative.with_suffix("").parts).removesuffix(".__init__")


def is_standard(imported: Import) -> bool:
    """Whether an import is of the standard library."""
    return imported.package in sys.stdlib_module_names


def violations(root: Path) -> list[str]:
    """`file:line: rule` for every import below `root` that the design forbids."""
    found = []
    for area, check in (
        ("pipeline_image", _runtime),
        ("lambdas", _lambda),
        ("app.py", _cdk),
        ("cdk_app", _cdk),
        ("stacks", _cdk),
        ("local_aws", _local_aws),
        ("benchmarks", _outside),
    ):
        place = root / area
        files = [place] if place.is_file() else sorted(place.rglob("*.py"))
        for file in files:
            if "egg-info" in file.as_posix() or "node_modules" in file.parts:
                continue
            imports = imports_of(file, module_name(root, file))
            for line, rule in check(root, file, imports):
                found.append(f"{file.relative_to(root).as_posix()}:{line}: {rule}")
    return sorted(set(found))


def _outside(root: Path, file: Path, imports: list[Import]) -> Iterator[tuple[int, str]]:
    for item in imports:
        if item.package == "local_aws":
            yield item.line, "nothing imports local_aws"
        if item.package == "tests":
            yield item.line, "nothing imports tests"


def _runtime(root: Path, file: Path, imports: list[Import]) -> Iterator[tuple[int, str]]:
    yield from _outside(root, file, imports)
    module = module_name(root, file)
    if module in EMPTY_PACKAGES and file.name == "__init__.py":
        for item in imports:
            yield item.line, f"{module}/__init__.py imports nothing, but {item.module}"
    if module.startswith(LAMBDA_SAFE):
        yield from _shared_with_lambda(imports)
        return
    allowed = ADAPTERS.get(module, set())
    for item in imports:
        if is_standard(item) or item.package in {"local_aws", "tests"}:
            continue
        if item.package == "prompt_hub":
            eager = item.at_load and module not in ADAPTERS
            if eager and item.module in ADAPTERS and ADAPTERS[item.module] - AWS_PACKAGES:
                yield item.line, f"the adapter {item.module} is imported lazily"
        elif item.package in CDK_PACKAGES | OURS:
            yield item.line, f"pipeline_image knows nothing of {item.package}"
        elif item.package in allowed:
            if item.package in AWS_PACKAGES and item.at_load:
                yield item.line, f"{item.package} is imported lazily, inside a function"
        elif item.package not in CORE_PACKAGES:
            yield item.line, f"{item.package} belongs into an adapter module, not into {module}"
        elif item.package in LAZY_IN_CORE and item.at_load:
            yield item.line, f"{item.package} is imported lazily, inside a function"


def _shared_with_lambda(imports: list[Import]) -> Iterator[tuple[int, str]]:
    for item in imports:
        if item.package == "prompt_hub" and not _is_part_of(item, LAMBDA_SAFE):
            yield (
                item.line,
                f"aws_names and ledger import only aws_names and ledger, not {item.module}",
            )
        elif item.package in AWS_PACKAGES and item.at_load:
            yield item.line, f"{item.package} is imported lazily, inside a function"
        elif not is_standard(item) and item.package not in AWS_PACKAGES | {"prompt_hub"}:
            yield (
                item.line,
                f"aws_names and ledger import stdlib and boto3 only, not {item.package}",
            )


def _is_part_of(item: Import, modules: tuple[str, ...]) -> bool:
    # `from prompt_hub.core import aws_names` names the packages, too, which are empty.
    return item.module in EMPTY_PACKAGES or item.below(*modules)


def _lambda(root: Path, file: Path, imports: list[Import]) -> Iterator[tuple[int, str]]:
    yield from _outside(root, file, imports)
    siblings = {path.stem for path in file.parent.glob("*.py")}
    for item in imports:
        if item.package == "prompt_hub" and not _is_part_of(item, LAMBDA_SAFE):
            yield (
                item.line,
                f"a Lambda imports only aws_names and ledger of ours, not {item.module}",
            )
        elif not is_standard(item) and item.package not in AWS_PACKAGES | siblings | {"prompt_hub"}:
            yield item.line, f"a Lambda imports stdlib and boto3 only, not {item.package}"


def _cdk(root: Path, file: Path, imports: list[Import]) -> Iterator[tuple[int, str]]:
    yield from _outside(root, file, imports)
    area = file.relative_to(root).parts[0]
    for item in imports:
        if item.package == "stacks" and area == "cdk_app":
            yield item.line, "stacks import cdk_app, never back"
        elif item.package == "prompt_hub" and not _is_part_of(item, CDK_SAFE):
            yield (
                item.line,
                f"CDK code imports only aws_names and repository, not {item.module}",
            )
        elif item.package in WORLD:
            yield item.line, f"no git, network or clock at synth, so no {item.module}"
        elif not is_standard(item) and item.package not in CDK_PACKAGES | OURS:
            yield item.line, f"CDK code imports aws_cdk and its like only, not {item.package}"
        elif item.package == "lambdas":
            yield item.line, "CDK code packs Lambdas and never imports them"
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in WORLD_CALLS:
            yield node.lineno, f"no look-up and no clock at synth, so no {node.attr}()"


def _local_aws(root: Path, file: Path, imports: list[Import]) -> Iterator[tuple[int, str]]:
    for item in imports:
        if item.package in OURS | {"tests"} and item.package != "local_aws":
            yield item.line, f"local_aws imports nothing of ours, but {item.module}"


def test_the_product_keeps_the_import_rules() -> None:
    broken = violations(ROOT)
    assert not broken, "\n" + "\n".join(broken)


def test_the_rules_look_at_every_part_of_the_product() -> None:
    for area in ("pipeline_image/prompt_hub", "lambdas", "local_aws", "cdk_app", "stacks"):
        assert list((ROOT / area).rglob("*.py")), f"{area} has moved: mend the rules"
    for module, packages in ADAPTERS.items():
        path = (ROOT / "pipeline_image" / Path(*module.split("."))).with_suffix(".py")
        used = {item.package for item in imports_of(path, module)}
        assert packages <= used, f"{module} needs {packages & used} only: shorten the list"


FORBIDDEN = [
    ("pipeline_image/prompt_hub/gate/rules.py", "import numpy", "belongs into an adapter"),
    ("pipeline_image/prompt_hub/gate/rules.py", "from openai import OpenAI", "an adapter"),
    (
        "pipeline_image/prompt_hub/gate/rules.py",
        "def f() -> None:\n    import fastapi",
        "belongs into an adapter",
    ),
    ("pipeline_image/prompt_hub/gate/rules.py", "import jsonschema_rs", "lazily"),
    (
        "pipeline_image/prompt_hub/llm/client.py",
        "from prompt_hub.llm.providers.openai import OpenAIProvider",
        "the adapter prompt_hub.llm.providers.openai is imported lazily",
    ),
    (
        "pipeline_image/prompt_hub/llm/client.py",
        "from .providers.openai import OpenAIProvider",
        "the adapter prompt_hub.llm.providers.openai is imported lazily",
    ),
    ("pipeline_image/prompt_hub/evaluation/results.py", "import boto3", "inside a function"),
    ("pipeline_image/prompt_hub/__init__.py", "import json", "imports nothing"),
    ("pipeline_image/prompt_hub/service/http.py", "import aws_cdk", "knows nothing of aws_cdk"),
    ("pipeline_image/prompt_hub/service/http.py", "import local_aws", "nothing imports local_aws"),
    ("pipeline_image/run_pipeline.py", "import stacks", "knows nothing of stacks"),
    ("pipeline_image/prompt_hub/core/aws_names.py", "import yaml", "stdlib and boto3 only"),
    (
        "pipeline_image/prompt_hub/ledger/table.py",
        "from prompt_hub.core.errors import PromptHubError",
        "only aws_names and ledger",
    ),
    ("lambdas/rollback/handler.py", "import pydantic", "stdlib and boto3 only, not pydantic"),
    (
        "lambdas/rollback/handler.py",
        "from prompt_hub import repository",
        "only aws_names and ledger of ours, not prompt_hub.repository",
    ),
    ("app.py", "import boto3", "not boto3"),
    ("app.py", "import subprocess", "no git, network or clock"),
    ("stacks/service.py", "from datetime import datetime\ndatetime.now()", "no now()"),
    ("stacks/service.py", "def f(vpc: object) -> None:\n    vpc.from_lookup()", "no from_lookup()"),
    ("stacks/service.py", "from prompt_hub.service import app", "only aws_names and repository"),
    ("cdk_app/settings.py", "import stacks.service", "never back"),
    ("cdk_app/settings.py", "import local_aws.cloud", "nothing imports local_aws"),
    ("local_aws/cloud.py", "from prompt_hub.core import aws_names", "imports nothing of ours"),
    ("benchmarks/bench.py", "import local_aws", "nothing imports local_aws"),
]


@pytest.mark.parametrize(("file", "code", "rule"), FORBIDDEN)
def test_a_forbidden_import_is_found_with_file_and_line(
    tmp_path: Path, file: str, code: str, rule: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'"""A module."""\n\nimport os\n\n{code}\n' if "__init__" not in file else code)
    broken = violations(tmp_path)
    assert any(rule in line for line in broken), broken
    assert all(line.startswith(f"{file}:") for line in broken)
    first = 1 if "__init__" in file else 5
    assert all(int(line.split(":")[1]) >= first for line in broken)


def test_what_the_rules_allow_is_not_found(tmp_path: Path) -> None:
    allowed = {
        "pipeline_image/prompt_hub/llm/client.py": (
            "from __future__ import annotations\n"
            "from typing import TYPE_CHECKING\n"
            "import yaml\nfrom pydantic import BaseModel\nfrom jinja2.sandbox import X\n"
            "if TYPE_CHECKING:\n    import boto3\n    import aws_cdk\n"
            "def f() -> None:\n    import jsonschema_rs\n"
            "    from prompt_hub.llm.providers.openai import OpenAIProvider\n"
        ),
        "pipeline_image/prompt_hub/llm/providers/openai.py": "import openai\n",
        "pipeline_image/prompt_hub/ledger/table.py": (
            "from prompt_hub.core import aws_names\ndef f() -> None:\n    import boto3\n"
        ),
        "lambdas/rollback/decision.py": "import json\n",
        "lambdas/rollback/handler.py": (
            "import boto3\nfrom decision import x\nfrom prompt_hub.ledger.table import Ledger\n"
        ),
        "stacks/service.py": "import aws_cdk as cdk\nfrom cdk_app import settings\n",
        "app.py": "from prompt_hub.core import aws_names\nfrom stacks.service import S\n",
        "local_aws/cloud.py": "import ministack\nfrom local_aws import ecs\n",
    }
    for file, code in allowed.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(code)
    assert violations(tmp_path) == []
