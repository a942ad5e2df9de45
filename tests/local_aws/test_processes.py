"""A background process is found again, and started anew where it runs the code of before."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local_aws.ports import SERVERS, reserve
from local_aws.processes import Background, digest_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Background]:
    """A server on loopback; it is ended, whatever the test has made of it."""
    port = reserve(SERVERS, None)
    served = Background(
        name="server",
        command=[sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
        ready_url=f"http://127.0.0.1:{port}/",
        state=tmp_path,
        environment=os.environ,
        cwd=tmp_path,
        code="old",
    )
    yield served
    served.stop()


def test_what_runs_this_code_is_left_alone(server: Background) -> None:
    assert server.start()
    first = server.running()
    assert not server.start()
    assert server.running() == first


def test_what_had_ended_before_anybody_looked_does_not_run(server: Background) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kept = json.dumps({"pid": ended.pid, "born": None})
    (server.state / "server.pid").write_text(kept, encoding="utf-8")
    assert server.running() is None


def test_what_runs_older_code_is_started_anew(server: Background) -> None:
    server.start()
    first = server.running()
    newer = replace(server, code="new")
    assert newer.running() == first
    assert newer.start()
    assert newer.running() not in {None, first}


def test_what_a_release_started_that_kept_no_digest_is_started_anew(server: Background) -> None:
    server.start()
    first = server.running()
    file = server.state / "server.pid"
    kept = json.loads(file.read_text(encoding="utf-8"))
    del kept["code"]
    file.write_text(json.dumps(kept), encoding="utf-8")
    assert server.running() == first
    assert server.start()
    assert server.running() not in {None, first}


def test_what_nobody_could_find_again_does_not_run(
    server: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*words: Any, **how: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*words, **how))
        return started[-1]

    def write_text(path: Path, text: str, encoding: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises(OSError, match="No space left"):
        server.start()
    (process,) = started
    assert process.wait(10) == -signal.SIGKILL


def test_make_down_ends_what_an_environment_started_that_is_gone(
    server: Background, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "local_aws").symlink_to(ROOT / "local_aws")
    model = replace(server, name="model", state=tmp_path / ".local")
    model.start()
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    try:
        subprocess.run(
            # Without the packages of an environment, as a machine's own Python is.
            ["make", "--no-print-directory", "down", f"PYTHON={sys.executable} -S"],
            cwd=tmp_path,
            env={**outside, "PROMPT_HUB_LOCAL_STATE": str(model.state)},
            check=True,
        )
        assert model.running() is None
    finally:
        model.stop()


def test_a_digest_is_that_of_the_code_alone(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("A = 1\n", encoding="utf-8")
    before = digest_of(tmp_path)
    digest_of.cache_clear()
    (tmp_path / "notes.txt").write_text("no code", encoding="utf-8")
    assert digest_of(tmp_path) == before
    digest_of.cache_clear()
    module.write_text("A = 2\n", encoding="utf-8")
    assert digest_of(tmp_path) != before
