"""What the rollback Lambda carries of `prompt_hub`: the one list of it.

The asset is put together by it (`lambda_bundle.py`), and tests hold to it what the Lambda's own
files import and the import contract `lambda` in pyproject.toml, which only reads that file.
"""

from __future__ import annotations

CARRIED_MODULES = (
    "prompt_hub.core.aws_names",
    "prompt_hub.core.embedded_metrics",
    "prompt_hub.core.errors",
    "prompt_hub.core.exact",
    "prompt_hub.core.foreign_text",
    "prompt_hub.core.heartbeats",
    "prompt_hub.core.wording",
    "prompt_hub.ledger",
)
"""Modules, and packages with all that is in them. They import the standard library, boto3 and each
other: see docs/architecture.md#import-direction."""
