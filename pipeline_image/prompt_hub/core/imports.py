"""Imports that people wait for."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock, get_ident
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from importlib.abc import Loader


@contextmanager
def gc_paused() -> Iterator[None]:
    """Import large packages in this, or read large files: what they make stays.

    None of it is garbage, so no time is spent on looking: a command says its first word a tenth
    sooner, megabytes are read in half the time, and later collections leave alone what was made.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def roots_read_aside() -> Iterator[None]:
    """Import in this what makes TLS contexts as it is imported.

    To read the roots that a context trusts takes longer than most imports. Here a thread reads them
    meanwhile: they are there when this ends. A context that verifies nobody reads none.

    It changes a method of `ssl.SSLContext` for as long, and puts back what it found: it must not be
    nested, nor used by two threads at once.
    """
    # Whoever comes here imports all of these anyway.
    import ssl
    from concurrent.futures import Future, ThreadPoolExecutor

    kind, importing = ssl.SSLContext, get_ident()
    read = kind.set_default_verify_paths
    reading: list[Future[None]] = []

    def read_aside(context: ssl.SSLContext) -> None:
        if get_ident() != importing:
            read(context)
        elif context.verify_mode != ssl.CERT_NONE:
            reading.append(thread.submit(read, context))

    with ThreadPoolExecutor(1) as thread:
        kind.set_default_verify_paths = read_aside  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            kind.set_default_verify_paths = read  # type: ignore[method-assign]
    for roots in reading:
        roots.result()


@contextmanager
def bodies_deferred(*packages: str) -> Iterator[None]:
    """Import in this what imports more than it uses.

    Of `packages` and of the packages in them, no `__init__` runs until somebody asks for a name in
    it. Their modules can be imported as ever.
    """
    finder = _DeferringFinder(packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _DeferringFinder:
    """Finds packages as ever; has no base class, as `importlib.abc` takes long to import."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not any(f"{name}.".startswith(f"{package}.") for package in self._packages):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.submodule_search_locations is not None:
            assert spec.loader is not None
            spec.loader = cast("Loader", _DeferringLoader(spec.loader))
        return spec


class _DeferringLoader:
    """Runs a package's `__init__` when a name is looked up that the package does not have yet."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._running = RLock()

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        body = vars(module)
        running = False

        def run_body(name: str) -> object:
            nonlocal running
            # Who asks while another thread runs the body waits for all of it.
            with self._running:
                if body.get("__getattr__") is run_body and not running:
                    running = True
                    try:
                        self._loader.exec_module(module)
                        # A package may have a `__getattr__` of its own.
                        if body.get("__getattr__") is run_body:
                            del body["__getattr__"]
                    finally:
                        running = False
                if body.get("__getattr__") is not run_body:
                    return getattr(module, name)
                # Asked for by the body itself, for something that it has not come to.
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r} yet")

        body["__getattr__"] = run_body
