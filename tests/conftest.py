"""What every tier of tests shares."""

from __future__ import annotations

import fcntl
import os
import signal
import socketserver
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local_aws.isolation import isolate
from tests.shipped_tree import is_shipped

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

# Before anything is collected: no test may reach an account, a repository or a proxy of whoever
# runs it.
isolate()
# Whatever the installation of whoever runs it is called.
os.environ["PROMPT_HUB_INSTALLATION"] = "prompt-hub"
# Whichever commit a build is of: it spares the product a question to git that tests are about.
os.environ.pop("CODEBUILD_RESOLVED_SOURCE_VERSION", None)
# Processes that tests start find the package whatever folder they run in, installed or not.
os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[1] / "pipeline_image")
# Shells start what runs in the background deaf to Ctrl-C, and so would be all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Dozens of calls come at once to the servers that tests make: of five that wait, which is the
# standard library's own number, the next one is lost, and its caller waits until it gives up.
socketserver.TCPServer.request_queue_size = 1024
# Head and body of an answer are two packets, of which the second else waits for 40 ms.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True

FRESH = "prompt_hub_fresh"
"""Told to each worker: nobody has compiled these tests yet."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests of our own prompts and pages in a tree whose prompts are others."""
    if is_shipped(Path(__file__).resolve().parents[1]):
        return
    skip = pytest.mark.skip(reason="about Prompt Hub as it is shipped: cdk.json names another")
    for item in items:
        if item.get_closest_marker("shipped") is not None:
            item.add_marker(skip)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Tell a worker, before it starts, whether there are compiled tests."""
    named = [Path(word.partition("::")[0]) for word in node.config.args]
    folders = {path if path.is_dir() else path.parent for path in named}
    # Where nothing compiled is kept, nobody has anything to wait for.
    node.workerinput[FRESH] = not sys.dont_write_bytecode and not any(
        found for folder in folders for found in folder.rglob("__pycache__/test_*-pytest-*.pyc")
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Let one worker compile what nobody has compiled yet; the others wait and read that.

    All at once they would each compile everything.
    """
    if not getattr(session.config, "workerinput", {}).get(FRESH):
        return (yield)
    with Path(__file__).open(encoding="utf-8") as shared:
        try:
            fcntl.flock(shared, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(shared, fcntl.LOCK_SH)
            fcntl.flock(shared, fcntl.LOCK_UN)
        return (yield)
