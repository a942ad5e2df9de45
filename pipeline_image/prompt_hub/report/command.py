"""`prompt-hub report`: an HTML page of a run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from prompt_hub.errors import ExitCode, PromptHubError
from prompt_hub.prompts.documents import Document, strict_json, to_model
from prompt_hub.report.model import RunReport
from prompt_hub.report.page import page


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN.json", help="what happened, as JSON")
    parser.add_argument(
        "--out", type=Path, metavar="RUN.html", help="the page; beside RUN.json by default"
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Write the page, whole or not at all."""
    source: Path = arguments.run
    target: Path = arguments.out or source.with_suffix(".html")
    html = page(read_run(source))
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        fresh.write_text(html, encoding="utf-8")
        fresh.replace(target)
    except OSError as error:
        raise PromptHubError(f"{target} cannot be written: {error.strerror}.") from None
    finally:
        fresh.unlink(missing_ok=True)
    print(f"{target}: {len(html.encode('utf-8')) / 1000:.0f} kB")
    return ExitCode.OK


def read_run(source: Path) -> RunReport:
    """Read a run; raises `PromptHubError` if there is no such file or it is not one."""
    try:
        data = strict_json(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise PromptHubError(f"{source} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise PromptHubError(f"{source} is not JSON: {error}.") from None
    return to_model(Document(str(source), data), RunReport)
