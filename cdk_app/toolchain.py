"""What every build action runs on, and the pinned versions of the tools it installs."""

from __future__ import annotations

import json
from pathlib import Path

from aws_cdk import aws_codebuild as codebuild

CDK_ASSETS_VERSION = "4.7.3"
"""The publisher of assets; it reads cloud assembly schema 54, which aws-cdk-lib 2.270.0 writes."""

BUILD_IMAGE = codebuild.LinuxBuildImage.STANDARD_7_0
RUNTIMES = {"python": "3.13", "nodejs": "22"}

INSTALL = "pip install --requirement pipeline_image/requirements.txt"
"""What our own commands need. The same words everywhere: a build cache may go by them."""
INSTALL_EVERYTHING = "pip install --requirement requirements.txt"
"""What synthesis and tests need on top."""

SOURCE_FIRST = {"PYTHONPATH": "pipeline_image"}
"""The package in the checked-out tree is what runs, whatever else is installed."""


def cdk_version(root: Path) -> str:
    """Return the pinned CDK command line, from `package.json`; npm's `latest` is an accident."""
    package = json.loads((root / "package.json").read_text(encoding="utf-8"))
    return str(package["devDependencies"]["aws-cdk"])
