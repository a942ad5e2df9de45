"""Options that several commands have, each under one name and with one meaning."""

from __future__ import annotations

import argparse


def add_signature(parser: argparse.ArgumentParser) -> None:
    """Add `--person` and `--reason`, which every decision by hand needs."""
    parser.add_argument("--person", required=True, type=_said, help="who answers for it")
    parser.add_argument("--reason", required=True, type=_said, help="why; the history keeps it")


def _said(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("says nothing")
    return text.strip()
