"""`prompt-hub repair`: records that a bad version answered are made again by the restored one."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prompt_hub.batch.backends import LocalAnswerer, VersionInfo
from prompt_hub.batch.journal import Journal
from prompt_hub.batch.objects import Objects
from prompt_hub.batch.repair import (
    LineReader,
    Repaired,
    forecast,
    merge,
    open_repairs,
    records_of,
    repair_name,
    survey,
)
from prompt_hub.batch.repair_files import (
    CHANGES,
    OUTPUT,
    OldOutput,
    claim,
    old_output,
    sha256_of_file,
)
from prompt_hub.batch.run_manifest import (
    MANIFEST,
    RepairOf,
    RunFile,
    RunManifest,
    RunOutput,
    Spent,
    VersionCount,
    read_manifest,
    runs_of,
    write_manifest,
)
from prompt_hub.batch.runner import BatchStats, Runner
from prompt_hub.cli.options import add_concurrency
from prompt_hub.cli.stage import ledger_of, translate_aws_errors
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases
from prompt_hub.reporting import words
from prompt_hub.reporting.repair_page import (
    RepairView,
    repair_json,
    repair_markdown,
    repair_page,
)
from prompt_hub.repository.reader import PRODUCTION, PromptRepository
from prompt_hub.repository.registry import VersionState
from prompt_hub.repository.schema import Prompt

WORK = Path(".prompt-hub") / "repairs"
"""Where a repair is made before it is put in its place: a folder each."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("task")
    parser.add_argument(
        "--version", required=True, metavar="V", help="whose records are to be made again"
    )
    parser.add_argument("--run", metavar="RUN", help="this run only; all by default")
    parser.add_argument(
        "--stage",
        default=os.environ.get(aws_names.ENV_STAGE),
        help="whose active version answers; by default the released one",
    )
    parser.add_argument(
        "--store",
        metavar="STORE",
        help="where runs are: s3://BUCKET or a folder; by default the stage's bucket, without"
        " a stage what was run in this clone",
    )
    add_concurrency(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only say what it would come to")
    how.add_argument("--yes", action="store_true", help="go ahead without asking")
    parser.add_argument("--json", action="store_true", help="print the summaries as JSON")
