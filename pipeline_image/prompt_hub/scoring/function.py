"""Finds the function of a scorer of one's own, as metadata name it (docs/scorers.md).

It lies in the folder of the prompt repository or in an installed package, nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType
from typing import TypeVar

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.files import links_followed

ResultT = TypeVar("ResultT")
Function = Callable[..., object]
"""`function(output, expected, input)`, each a dict; returns a score from 0 to 1, or a pair of the
score and the loss in words."""


MOST_SECONDS = 30.0
"""Time that a person's code may take for one answer, or to be imported."""
AGAIN_SECONDS = 1.0
"""So often it is told to end, should it go on all the same."""


class OwnCodeError(Exception):
    """A person's code raised something, ended the process or did not come back; in words."""

    def __init__(self, message: str, *, late: bool = False) -> None:
        super().__init__(message)
        self.late = late
        """Whether it did not come back in time."""


class _LateError(BaseException):
    """Raised inside a person's code: not for its own `except Exception`."""


def run_guarded(code: Callable[[], ResultT]) -> ResultT:
    """Run a person's code; raises `OwnCodeError` for whatever it does instead of returning.

    The time limit needs the main thread, where evaluations run; elsewhere there is none. What it
    prints goes to standard error: results alone stand on standard output.
    """
    try:
        with _time_limit(), redirect_stdout(sys.stderr):
            return code()
    except KeyboardInterrupt:
        raise
    except _LateError:
        raise OwnCodeError(f"not back after {MOST_SECONDS:g} s", late=True) from None
    # `sys.exit` too: it would end the run as if all were well.
    except BaseException as error:
        raise OwnCodeError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _time_limit() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise _LateError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS, AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def load(entry: str, root: Path | None = None) -> Function:
    """Return the function that `entry` (`package.module:function`) names.

    Raises:
        PromptHubError: it is not in the repository's folder or in an installed package, its module
            cannot be imported, or it is no function.
    """
    module_name, _, function_name = entry.partition(":")
    path = find(entry, root)
    folder = str(_root(root))
    if folder not in sys.path:
        # Last: nothing in a prompt repository may take the place of a package.
        sys.path.append(folder)
    try:
        module = run_guarded(lambda: import_module(module_name))
    except OwnCodeError as error:
        message = f"the module {module_name} of the scorer {entry} cannot be imported"
        raise _unusable(f"{message} ({error})") from error
    if not module.__file__ or Path(module.__file__).resolve() != path:
        raise _unusable(f"the scorer {entry} is hidden by another module, {module.__file__}")
    function: object = getattr(module, function_name, None)
    if not callable(function):
        raise _unusable(f"{path.name} has no function {function_name!r} (scorer {entry})")
    return function


def find(entry: str, root: Path | None = None) -> Path:
    """Return the file that holds the function of `entry`; nothing is imported.

    Raises:
        PromptHubError: there is no such module in the repository's folder or among the installed
            packages.
    """
    folder = _root(root)
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")]
    places: Sequence[str] = [str(folder), *map(str, dict.fromkeys(installed))]
    spec: ModuleSpec | None = None
    name = ""
    for step in entry.partition(":")[0].split("."):
        name = f"{name}.{step}" if name else step
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            break
        for found in _files(spec):
            if not any(found.is_relative_to(place) for place in (folder, *installed)):
                raise _unusable(f"the scorer {entry} lies outside, in {found}")
        places = list(spec.submodule_search_locations or ())
    if spec is None or not spec.origin:
        raise _unusable(
            f"the scorer {entry} names a module that is neither in the repository's folder nor"
            " installed"
        )
    return Path(spec.origin).resolve()


def fingerprints(
    entries: Sequence[str], root: Path | None = None, *, code_alone: bool = False
) -> Mapping[str, str]:
    """Hash of the code behind each entry point, for what must notice that it changed.

    Of code in the repository's folder every file of the package counts, data that it reads among
    them, of an installed package the module itself. With `code_alone` data do not count: so it was
    in records of before.
    """
    folder = _root(root)
    files_below = _code_below if code_alone else _files_below
    return {entry: _fingerprint(find(entry, root), entry, folder, files_below) for entry in entries}


def _fingerprint(
    path: Path, entry: str, folder: Path, files_below: Callable[[Path], Iterable[Path]]
) -> str:
    package = folder / entry.partition(":")[0].split(".")[0]
    inside = path.is_relative_to(folder) and package.is_dir()
    digest = hashlib.sha256()
    for file in files_below(package) if inside else [path]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _files_below(package: Path) -> Iterator[Path]:
    """Yield the files of a package, in order; neither hidden ones nor what Python has compiled."""
    for file in sorted(package.rglob("*")):
        parts = file.relative_to(package).parts
        if file.is_file() and not any(part.startswith((".", "__pycache__")) for part in parts):
            yield file


def _code_below(package: Path) -> Iterable[Path]:
    return sorted(package.rglob("*.py"))


def _root(root: Path | None) -> Path:
    return links_followed(root or Path(os.environ.get(aws_names.ENV_ROOT, ".")))


def _files(spec: ModuleSpec) -> Iterator[Path]:
    if spec.has_location and spec.origin:
        yield Path(spec.origin).resolve()
    yield from (Path(place).resolve() for place in spec.submodule_search_locations or ())


def _unusable(message: str) -> PromptHubError:
    return PromptHubError(
        f"{message}.",
        hint="docs/scorers.md says where a scorer of one's own may lie and what it returns.",
        exit_code=ExitCode.BLOCKED,
    )
