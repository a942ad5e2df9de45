"""What every build action runs on, and the pinned versions of the tools it installs."""

from __future__ import annotations

import json
from pathlib import Path

from aws_cdk import aws_codebuild as codebuild

from prompt_hub.core import aws_names

CDK_ASSETS_VERSION = "4.7.3"
"""The publisher of assets; it reads cloud assembly schema 54, which aws-cdk-lib 2.270.0 writes."""

BUILD_IMAGE = codebuild.LinuxBuildImage.STANDARD_7_0
RUNTIMES = {"python": "3.13", "nodejs": "22"}

_INSTALLER = (
    "pip install --require-hashes --only-binary :all: --requirement requirements-install.lock"
)
# The interpreter is named: uv would look for a virtual environment, and a build image has none.
_INSTALL_LOCKED = (
    "python -m uv pip install --require-hashes --only-binary :all:"
    ' --python "$(command -v python)" --requirement'
)

INSTALL = (_INSTALLER, f"{_INSTALL_LOCKED} pipeline_image/requirements.lock")
"""What our own commands need. The same words everywhere: a build cache may go by them."""
INSTALL_EVERYTHING = (
    _INSTALLER,
    f"{_INSTALL_LOCKED} requirements.lock",
    "npm ci --include=dev",
)
"""What synthesis and tests need on top: aws-cdk-lib, pytest and the CDK command line."""

CLI = "python -m prompt_hub.cli"


def build_environment() -> dict[str, str]:
    """Return what every build of ours has in its environment.

    The package in the checked-out tree is what runs, whatever else is installed.
    """
    return {
        "PYTHONPATH": "pipeline_image",
        aws_names.ENV_INSTALLATION: aws_names.installation(),
    }


def cdk_version(root: Path) -> str:
    """Return the pinned CDK command line, from `package.json`; npm's `latest` is an accident."""
    package = json.loads((root / "package.json").read_text(encoding="utf-8"))
    return str(package["devDependencies"]["aws-cdk"])
