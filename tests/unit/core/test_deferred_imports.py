"""Packages whose `__init__` waits until somebody needs it."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Barrier, get_ident

import pytest

from prompt_hub.core.imports import bodies_deferred, roots_read_aside

SELF_SIGNED = Path(__file__).parents[2] / "fixtures" / "self_signed.pem"
SDK = """
import sys
from prompt_hub.llm.providers import _chat_completions
few = [name for name in sys.modules if name.startswith("openai.types")]
assert "openai.types.responses.response" not in few and len(few) < 150, len(few)
import openai
assert openai.types.responses.Response.__name__ == "Response"
from openai.types import *
assert Batch.__module__ == "openai.types.batch"
"""

READING = """
import ssl, threading
own, readers = ssl.SSLContext.set_default_verify_paths, []
def read(context):
    readers.append(threading.current_thread())
    own(context)
ssl.SSLContext.set_default_verify_paths = read
from prompt_hub.llm.providers import _requests
assert len(readers) == 1 and readers[0] is not threading.main_thread(), readers
assert not readers[0].is_alive()
assert ssl.SSLContext.set_default_verify_paths is read
from aiohttp import connector
trusting = connector._SSL_CONTEXT_VERIFIED
assert trusting.verify_mode == ssl.CERT_REQUIRED
assert trusting.cert_store_stats()["x509"] >= 1, trusting.cert_store_stats()
assert connector._SSL_CONTEXT_UNVERIFIED.verify_mode == ssl.CERT_NONE
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "slow_package"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("from slow_package.leaf import NAME\nBODY = 1\n")
    (folder / "leaf.py").write_text("NAME = 'leaf'\n")
    (folder / "inner" / "__init__.py").write_text("raise ImportError('the body has run')\n")
    (folder / "inner" / "leaf.py").write_text("NAME = 'inner leaf'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder.name
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_a_module_is_imported_without_the_packages_around_it(package: str) -> None:
    with bodies_deferred(package):
        assert import_module(f"{package}.inner.leaf").NAME == "inner leaf"
    assert "BODY" not in vars(sys.modules[package])
    assert f"{package}.leaf" not in sys.modules


def test_a_package_runs_as_soon_as_a_name_of_it_is_needed(package: str) -> None:
    with bodies_deferred(package):
        import_module(package)
    module = sys.modules[package]
    assert (module.NAME, module.BODY) == ("leaf", 1)
    assert "__getattr__" not in vars(module)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


def test_threads_that_need_a_package_at_once_all_get_it(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "leaf.py").write_text("import time\ntime.sleep(0.2)\nNAME = 'leaf'\n")
    with bodies_deferred(package):
        module = import_module(package)
    together = Barrier(4)

    def name(_: int) -> str:
        together.wait(10)
        found: str = module.NAME
        return found

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(name, range(4))) == ["leaf"] * 4


def test_a_package_keeps_a_lookup_of_its_own(package: str, tmp_path: Path) -> None:
    own = "BODY = 1\ndef __getattr__(name):\n    return f'own {name}'\n"
    (tmp_path / package / "__init__.py").write_text(own)
    with bodies_deferred(package):
        module = import_module(package)
    assert (module.anything, module.BODY, module.more) == ("own anything", 1, "own more")


def test_a_body_that_fails_fails_for_whoever_asks(package: str) -> None:
    with bodies_deferred(package):
        import_module(f"{package}.inner.leaf")
    for _ in range(2):
        with pytest.raises(ImportError, match="the body has run"):
            _ = sys.modules[f"{package}.inner"].anything


def test_other_packages_are_imported_as_ever(package: str) -> None:
    with bodies_deferred("slow_pack", f"{package}.inner"):
        import_module(package)
    assert vars(sys.modules[package])["BODY"] == 1


@pytest.mark.processes
def test_the_sdk_is_whole_though_most_of_its_types_wait() -> None:
    done = subprocess.run([sys.executable, "-c", SDK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- TLS contexts that are made as a package is imported -----------------------------------------


@pytest.mark.processes
def test_what_an_import_trusts_is_read_once_and_aside() -> None:
    trusted = {"SSL_CERT_FILE": str(SELF_SIGNED)}
    done = subprocess.run(
        [sys.executable, "-c", READING],
        env=os.environ | trusted,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_other_threads_and_later_contexts_read_their_roots_themselves() -> None:
    def roots() -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(SELF_SIGNED)
        readers.clear()
        context.set_default_verify_paths()
        return len(readers)

    readers: list[int] = []
    own = ssl.SSLContext.set_default_verify_paths

    def read(context: ssl.SSLContext) -> None:
        readers.append(get_ident())
        own(context)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr(ssl.SSLContext, "set_default_verify_paths", read)
        other = pool.submit(get_ident).result()
        with roots_read_aside():
            assert pool.submit(roots).result() == 1
            assert readers == [other]
        assert roots() == 1
        assert readers == [get_ident()]


def test_roots_that_cannot_be_read_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(context: ssl.SSLContext) -> None:
        raise OSError("no roots")

    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", fail)
    with pytest.raises(OSError, match="no roots"), roots_read_aside():
        ssl.create_default_context()
    assert ssl.SSLContext.set_default_verify_paths is fail
