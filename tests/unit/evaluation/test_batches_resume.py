"""`kill -9` of a real `evaluate --backend batch`, wherever it stands: nothing is paid for twice."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time

import pytest

from tests.unit.building import RepositoryFolder
from tests.unit.command_process import start_command
from tests.unit.evaluation.many_parts import with_many_parts
from tests.unit.llm.batch_server import BatchServer, batch_server

pytestmark = pytest.mark.processes

EXAMPLES = 60


@pytest.fixture
def folder(healthy: RepositoryFolder) -> RepositoryFolder:
    """One task with many examples in one look, and no champion."""
    return with_many_parts(healthy, EXAMPLES, first_look=EXAMPLES)


def start(folder: RepositoryFolder, server: BatchServer, *options: str) -> subprocess.Popen[bytes]:
    command = ["evaluate", "part-class", "--json", "--backend", "batch", *options]
    return start_command(command, root=folder.root, models=server.models(), folder=folder.root)


def wait_until_polled(server: BatchServer) -> None:
    deadline = time.monotonic() + 30
    while sum(server.polls.values()) < 2:
        assert time.monotonic() < deadline, "nobody waits for a batch"
        time.sleep(0.005)


@pytest.mark.parametrize("where", ["waiting", "submitting", "reading"])
def test_a_run_that_is_killed_pays_for_nothing_twice(folder: RepositoryFolder, where: str) -> None:
    with batch_server() as server:
        held = {
            "waiting": server.released,
            "submitting": server.answer_creations,
            "reading": server.send_whole_files,
        }[where]
        held.clear()
        first = start(folder, server)
        if where == "waiting":
            wait_until_polled(server)
        else:
            reached: threading.Event = server.creating if where == "submitting" else server.reading
            assert reached.wait(30), "the run did not get so far"
        first.kill()
        first.communicate(timeout=30)
        assert first.returncode == -signal.SIGKILL
        assert len(server.batches) == 1
        held.set()
        second = start(folder, server)
        output, told = second.communicate(timeout=60)
    (record,) = json.loads(output)
    assert record["candidate"]["unmeasured"] == 0, told.decode()
    assert record["candidate"]["batched"] == EXAMPLES
    assert second.returncode == 0, told.decode()
    # The one batch was found again: by its id, or by its tag where nobody had been told its id.
    assert len(server.batches) == 1
    assert server.asked["POST /batches"] == 1
    assert (set(server.paid.values()), sum(server.live.values())) == ({1}, 0)


def test_a_run_that_is_killed_while_it_uploads_leaves_nothing_to_pay(
    folder: RepositoryFolder,
) -> None:
    with batch_server() as server:
        server.take_files.clear()
        first = start(folder, server)
        assert server.uploading.wait(30)
        first.kill()
        first.communicate(timeout=30)
        server.take_files.set()
        output, told = start(folder, server).communicate(timeout=60)
    (record,) = json.loads(output)
    assert record["candidate"]["batched"] == EXAMPLES, told.decode()
    assert len(server.batches) == 1
    assert set(server.paid.values()) == {1}


def test_ctrl_c_says_how_to_go_on_and_the_next_run_attaches(folder: RepositoryFolder) -> None:
    with batch_server() as server:
        server.released.clear()
        first = start(folder, server)
        wait_until_polled(server)
        first.send_signal(signal.SIGINT)
        _, told = first.communicate(timeout=30)
        assert first.returncode == 130
        assert b"batch_1 go on at the provider. The same command takes their answers" in told
        assert b"Traceback" not in told, told.decode()
        server.released.set()
        second = start(folder, server)
        output, told = second.communicate(timeout=60)
    assert second.returncode == 0, told.decode()
    assert json.loads(output)[0]["candidate"]["n"] == EXAMPLES
    assert (len(server.batches), set(server.paid.values())) == (1, {1})


def test_ctrl_c_of_a_fresh_run_does_not_promise_its_answers(folder: RepositoryFolder) -> None:
    with batch_server() as server:
        server.released.clear()
        run = start(folder, server, "--fresh")
        wait_until_polled(server)
        run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=30)
        server.released.set()
    assert b"batch_1 go on at the provider. With --fresh the same command does not take" in told
    assert b"with --fresh the same command asks everything anew" in told
    assert b"go on from here" not in told
