"""Whatever happens to the files, validation answers, soon, and never takes broken for whole.

Two thousand mutants of this repository's own files; MUTANTS in the environment chooses more,
`--hypothesis-seed` others.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import pytest

from prompt_hub.cli.validate import annotation
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.validation import secrets, tree_reader
from prompt_hub.validation.check import check
from tests.property.drawing import DrawSeed
from tests.property.validation.harmless import differences, harmless
from tests.property.validation.mutants import Files, Mutant, mutants

ROOT = Path(__file__).resolve().parents[3]
NUMBER = int(os.environ.get("MUTANTS", "2000"))
SEED = 3
MOST_SECONDS = 5.0
MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def victim() -> Iterator[Path]:
    """A copy of this repository's prompts, in memory where the system has a place for that."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "prompts", root / "prompts")
        shutil.copy(ROOT / "prompt_registry.yaml", root)
        yield root


def visible(root: Path) -> Files:
    """Every file that the fuzz may damage."""
    paths = [*(root / "prompts").rglob("*"), root / "prompt_registry.yaml"]
    names = {path: path.relative_to(root).as_posix() for path in paths if path.is_file()}
    return {name: path.read_bytes() for path, name in names.items() if "/." not in name}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember what pure functions said of a text: all files but one are the same every time."""
    for module, name in ((tree_reader, "parse_yaml"), (tree_reader, "parse_json")):
        monkeypatch.setattr(module, name, lru_cache(maxsize=64)(getattr(module, name)))
    find = lru_cache(maxsize=64)(lambda text: tuple(original(text)))
    original = secrets.find
    monkeypatch.setattr(secrets, "find", find)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` in whatever runs longer."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no answer after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def findings(root: Path) -> list[str]:
    """What validation says of a tree; every line can be printed in every format."""
    found = []
    for finding in check(PromptRepository(root))[1]:
        assert finding.rule
        assert finding.problem.line >= 1
        assert finding.problem.column >= 1
        annotation(finding.problem).encode("utf-8")
        found.append(str(finding.problem))
    return found


def message(mutant: Mutant, files: Files) -> str:
    """Enough of a mutant to make it again by hand."""
    lines = [f"{mutant.operator} ({', '.join(differences(files, mutant)[:10])})"]
    for name, content in mutant.changes.items():
        lines.append(f"  {name!r}")
        before = files.get(name, b"")
        if isinstance(content, bytes):
            pairs = zip(before, content, strict=False)
            same = next((at for at, (old, new) in enumerate(pairs) if old != new), len(before))
            lines.append(f"    was {before[max(0, same - 40) : same + 80]!r}")
            lines.append(f"    is  {content[max(0, same - 40) : same + 80]!r}")
        else:
            lines.append(f"    is  {content}")
    return "\n".join(lines)


@pytest.mark.shipped
def test_no_mutant_raises_hangs_or_is_silently_accepted(
    victim: Path, quick: None, draw_seed: DrawSeed, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = draw_seed(SEED)
    files = visible(victim)
    assert findings(victim) == []
    outcomes: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    failures: list[str] = []
    slowest, began = 0.0, time.monotonic()
    for mutant in mutants(files, NUMBER, seed):
        operators[mutant.operator] += 1
        mutant.apply(victim)
        started = time.monotonic()
        try:
            with deadline(MOST_SECONDS):
                found = findings(victim)
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}\n{message(mutant, files)}")
            outcomes["raised or hung"] += 1
            continue
        finally:
            slowest = max(slowest, time.monotonic() - started)
            mutant.undo(victim, files)
        if found:
            outcomes["reported"] += 1
        elif harmless(files, mutant):
            outcomes["accepted, and harmless"] += 1
        else:
            outcomes["accepted, though broken"] += 1
            failures.append(f"accepted:\n{message(mutant, files)}")
    took = time.monotonic() - began
    with capsys.disabled():
        print(
            f"\n{NUMBER} mutants by {len(operators)} operators (seed {seed}) in {took:.1f} s,"
            f" slowest {slowest:.2f} s: "
            + ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
        )
    assert findings(victim) == []
    assert not failures, f"{len(failures)} failures:\n\n" + "\n\n".join(failures[:20])
    assert len(operators) > 30
    assert outcomes["reported"] > 0.8 * NUMBER
