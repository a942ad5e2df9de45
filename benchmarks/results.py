"""What the benchmarks found: kept in `benchmarks/results`, shown in docs/performance.md."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.eval.printing import table
from prompt_hub.core.files import atomic_write

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One number beside a peer, an earlier tree or a limit, measured in one run on one machine."""

    name: str
    """What is compared with what: `requests a CPU-second, times LiteLLM's`."""
    value: float
    limit: float
    at_most: bool
    """Whether `limit` is the most that `value` may be; otherwise it is the least."""
    measured: str = ""
    """Our own figure, with its unit: `6,100 requests a CPU-second`."""
    beside: str = ""
    """The peer's figure, with its name and version: `LiteLLM 1.108.7: 355`."""
    runs: int = 1
    """How many runs the figures are the medians of."""
    unproven: str = ""
    """Why the number proves nothing, however good it is; empty if it does."""

    @property
    def kept(self) -> bool:
        """Whether the promise is kept; a number that is none, or proves nothing, keeps nothing."""
        return self._within and not self.unproven

    @property
    def found(self) -> str:
        """The ratio as people read it: three figures, no exponent."""
        return f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.3g}"

    @property
    def promise(self) -> str:
        """The limit with its sign."""
        return f"{'≤' if self.at_most else '≥'} {self.limit:.6g}"

    @property
    def outcome(self) -> str:
        """One word, `ok` or `MISSED`; or why the number counts for nothing."""
        if self.unproven and self._within:
            return f"NOT PROVEN: {self.unproven}"
        return "ok" if self.kept else "MISSED"

    @property
    def row(self) -> list[str]:
        """The ratio as a row of a table."""
        return [self.name, self.found, self.promise, self.outcome]

    @property
    def _within(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one benchmark."""

    benchmark: str
    at: str
    """The day, in UTC: `2026-11-27`."""
    commit: str
    """The commit that was measured; `+` behind it says that files had changed since."""
    machine: str
    """Cores, memory, Python, and the load before the run."""
    ratios: tuple[Ratio, ...]


def ratio_table(ratios: Sequence[Ratio]) -> str:
    """Return the ratios as a Markdown table, one a line."""
    return table(("check", "found", "limit", ""), [ratio.row for ratio in ratios])


class Recording:
    """One run whose ratios come one after the other: what is measured is kept, whatever follows.

    Args:
        benchmark: the name of its file in `folder`.
        folder: where results are kept, JSON Lines, a run a line.
    """

    def __init__(self, benchmark: str, folder: Path = RESULTS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{benchmark}.jsonl"
        self._written = ""
        """This run's line as it is in the file."""
        self._run = Run(
            benchmark=benchmark,
            at=time.strftime("%Y-%m-%d", time.gmtime()),
            commit=_commit(),
            machine=describe_machine(),
            ratios=(),
        )

    @property
    def kept(self) -> bool:
        """Whether every promise that was measured so far is kept."""
        return all(ratio.kept for ratio in self._run.ratios)

    def add(self, ratios: Sequence[Ratio]) -> None:
        """Print these ratios, and write the run anew with them at its end.

        Runs take hours: what others wrote meanwhile stays, and so does the file if this is killed.
        """
        print(f"\n{ratio_table(ratios)}\n", flush=True)
        self._run = replace(self._run, ratios=(*self._run.ratios, *ratios))
        line = f"{json.dumps(asdict(self._run), ensure_ascii=False)}\n"
        with one_at_a_time(self._file.parent):
            others = self._file.read_text("utf-8") if self._file.exists() else ""
            if self._written:
                others = others.replace(self._written, "", 1)
            with atomic_write(self._file) as file:
                file.write(f"{others}{line}".encode())
        self._written = line


def record(benchmark: str, ratios: Sequence[Ratio], folder: Path = RESULTS) -> int:
    """Print the ratios and append them to the benchmark's results.

    Returns:
        1 if a promise is missed, else 0: what the benchmark ends with.
    """
    recording = Recording(benchmark, folder)
    recording.add(ratios)
    return 0 if recording.kept else 1


def load(folder: Path = RESULTS) -> Mapping[str, Sequence[Run]]:
    """Return every run of every benchmark, oldest first, benchmarks by name."""
    return {path.stem: _runs(path) for path in sorted(folder.glob("*.jsonl"))}


def describe_machine() -> str:
    """Say what machine this is and how busy it was, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()},"
        f" load {load:.1f}"
    )


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: of two benchmarks that write into it, one would lose its work."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _runs(path: Path) -> list[Run]:
    runs = []
    for line in path.read_text("utf-8").splitlines():
        fields = json.loads(line)
        runs.append(Run(**{**fields, "ratios": tuple(Ratio(**each) for each in fields["ratios"])}))
    return runs


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
        return done.stdout.strip()

    # Results themselves are no change of what is measured.
    changed = git(
        "status", "--porcelain", "--", ".", ":!benchmarks/results", ":!docs/performance.md"
    )
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("+" if changed else "")
