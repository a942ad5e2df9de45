"""Imports that people wait for."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """Import large packages in this: what they make stays, so looking for garbage is in vain.

    That takes a tenth off the time to a command's first word or request, and later collections
    leave alone what was imported.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
