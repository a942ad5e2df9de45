"""`python -m benchmarks.serve`: the service beside gateways, the tree before, and the bare call.

Every round measures each server once in each cell, one after the other, so that all of them see
the machine in the same mood; those that are not measured are suspended meanwhile. CPU is user and
system time of the server's whole process tree. Percentiles are those of all answers of all rounds:
of the 200 that one caller gets in a round the 99th is the second worst, which says little.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.earlier_tree import earlier_tree
from benchmarks.eval.measuring import ROOT, MeasurementError
from benchmarks.eval.printing import machine, number, table
from benchmarks.results import Ratio, record
from benchmarks.serve import gateways, scale
from benchmarks.serve.gateways import Target
from benchmarks.serve.ledger import LedgerServer
from benchmarks.serve.model import ScriptedModel
from benchmarks.serve.processes import Server
from benchmarks.serve.repository import build

LATENCIES = (0, 50)
CALLERS = (1, 64, 256)
OURS, BEFORE, BARE = "ours", "before", "bare call"
CPU_CELL = (50, 64)
"""Where requests a CPU-second are compared: milliseconds of the model, callers."""
LEAST_ANSWERS = 200
"""Answers that a run waits for, at the model's pace: five rounds have ten beyond the 99th."""
ALONE_OF_BEFORE = 0.43
"""What one caller waits for us, of what the tree before made them wait: 1.2 ms of 2.8."""
STARTS = 5
"""Starts, of which the median counts."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one server in one cell."""

    requests: int
    wall: float
    milliseconds: Sequence[float]
    """How long each answer took."""
    cpu: float | None

    @property
    def per_cpu_second(self) -> float | None:
        """Requests a second of the server's CPU time."""
        return self.requests / self.cpu if self.cpu else None


Cell = tuple[str, int, int]
"""Server, latency in milliseconds, callers."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0 if every promise is kept, 1 if one is missed, 2 if one has no number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    peers = (OURS, BEFORE, "litellm", "portkey")
    parser.add_argument("--only", nargs="+", choices=peers, default=peers, help="servers to run")
    sections = ("calls", "scale")
    parser.add_argument("--sections", nargs="+", choices=sections, default=sections)
    parser.add_argument("--rounds", type=int, default=5, help="runs of every cell (default 5)")
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="of a run at least (default 1.5)"
    )
    parser.add_argument("--callers", type=int, nargs="+", default=CALLERS, help="at once")
    parser.add_argument("--latencies", type=int, nargs="+", default=LATENCIES, help="milliseconds")
    arguments = parser.parse_args(argv)
    print(machine(), flush=True)
    try:
        with ExitStack() as stack:
            return _measure(arguments, stack)
    except MeasurementError as error:
        print(f"benchmarks.serve: NOT MEASURED: {error}", file=sys.stderr)
        return 2


def _measure(arguments: argparse.Namespace, stack: ExitStack) -> int:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prompt-hub-serve-")))
    model = stack.enter_context(ScriptedModel())
    release = build(folder / "repository", model.base_url)
    large: list[Ratio] = []
    if "scale" in arguments.sections:
        large = scale.measure(folder, model.base_url, tasks=10_000, versions=20)
    if "calls" not in arguments.sections:
        return record("serve", large)
    ledger = stack.enter_context(LedgerServer(release))
    settings = gateways.service_settings(folder / "repository", model.base_url, ledger.url)
    pairs: dict[str, tuple[Server, Target]] = {}
    if OURS in arguments.only:
        pairs[OURS] = gateways.service(OURS, ROOT, sys.executable, folder, settings)
    if BEFORE in arguments.only:
        tree = stack.enter_context(earlier_tree())
        pairs[BEFORE] = gateways.service(BEFORE, tree.path, tree.python, folder, settings)
    if "litellm" in arguments.only:
        pairs["litellm"] = gateways.litellm(folder, model.base_url)
    if "portkey" in arguments.only:
        pairs["portkey"] = gateways.portkey(folder, model.base_url)
    for name in (OURS, BEFORE):
        for _ in range(STARTS - 1 if name in pairs else 0):
            with pairs[name][0]:
                pass
    servers = {name: stack.enter_context(server) for name, (server, _) in pairs.items()}
    targets = {BARE: gateways.direct(model.port, folder)} | {n: t for n, (_, t) in pairs.items()}
    samples = _samples(arguments, model, targets, servers)
    print(f"\n{_table(samples, targets)}\n")
    for name, server in servers.items():
        print(
            f"{targets[name].name}: ready after {server.start_cpu:.2f} s of CPU with"
            f" {server.start_mb:.0f} MB; {server.resident_mb():.0f} MB after the runs,"
            f" {server.processes()} processes"
        )
    ratios = [*_ratios(samples, servers, targets), *large]
    return record("serve", ratios) if ratios else 0


def _samples(
    arguments: argparse.Namespace,
    model: ScriptedModel,
    targets: dict[str, Target],
    servers: dict[str, Server],
) -> dict[Cell, list[Sample]]:
    samples: dict[Cell, list[Sample]] = defaultdict(list)
    for turn in range(arguments.rounds + 1):
        for latency in arguments.latencies:
            model.answer_after(latency)
            for callers in arguments.callers:
                seconds = max(arguments.seconds, LEAST_ANSWERS * latency / 1000 / callers)
                for name, target in targets.items():
                    others = [server for other, server in servers.items() if other != name]
                    sample = _run(target, servers.get(name), others, callers, seconds)
                    # The first round warms up.
                    if turn:
                        samples[name, latency, callers].append(sample)
    return samples


def _run(
    target: Target, server: Server | None, others: Sequence[Server], callers: int, seconds: float
) -> Sample:
    with ExitStack() as stack:
        for other in others:
            stack.enter_context(other.suspended())
        before = server.cpu_seconds() if server else 0.0
        found = target.call(callers, seconds)
    return Sample(
        requests=found.requests,
        wall=found.wall,
        milliseconds=found.milliseconds,
        cpu=server.cpu_seconds() - before if server else None,
    )


def _table(samples: dict[Cell, list[Sample]], targets: dict[str, Target]) -> str:
    rows = []
    for (name, latency, callers), found in samples.items():
        rows.append(
            [
                f"{latency} ms, {callers} callers: {targets[name].name}",
                number(statistics.median(s.requests / s.wall for s in found), 0),
                number(_median_of([s.per_cpu_second for s in found]), 0),
                number(_percentile(found, 0.5)),
                number(_percentile(found, 0.99)),
                number(_added(samples, name, latency, callers, 0.5)),
                number(_added(samples, name, latency, callers, 0.99)),
            ]
        )
    header = ("model, callers: server", "requests/s", "requests/CPU-s", "p50 ms", "p99 ms")
    return table((*header, "added p50", "added p99"), rows)


def _percentile(samples: Sequence[Sample], part: float) -> float:
    """Milliseconds within which so many of all answers came."""
    ordered = sorted(taken for sample in samples for taken in sample.milliseconds)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def _added(
    samples: dict[Cell, list[Sample]], name: str, latency: int, callers: int, part: float
) -> float:
    """Milliseconds more than the bare call, all rounds together."""
    bare, found = samples[BARE, latency, callers], samples[name, latency, callers]
    return _percentile(found, part) - _percentile(bare, part)


def _median_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _ratios(
    samples: dict[Cell, list[Sample]], servers: dict[str, Server], targets: dict[str, Target]
) -> list[Ratio]:
    ratios: list[Ratio] = []
    ours = samples.get((OURS, *CPU_CELL))
    if not ours:
        return []
    mine = _median_of([s.per_cpu_second for s in ours]) or 0.0
    limits = {BEFORE: ("the tree before", 3.5), "litellm": ("LiteLLM", 15.0)}
    for name, (words, limit) in limits.items():
        found = samples.get((name, *CPU_CELL))
        if found:
            theirs = _median_of([s.per_cpu_second for s in found]) or 0.0
            ratios.append(
                Ratio(
                    name=f"requests a CPU-second, of {words}'s",
                    value=mine / theirs,
                    limit=limit,
                    at_most=False,
                    measured=f"{mine:,.0f}",
                    beside=f"{targets[name].name}: {theirs:,.0f}",
                    runs=len(found),
                )
            )
    ratios += _added_p99(samples)
    server = servers[OURS]
    for name, value, limit in (
        ("CPU-seconds from start to ready", server.start_cpu, 1.0),
        ("MB when ready, the whole process tree", server.start_mb, 128.0),
    ):
        beside = servers.get(BEFORE)
        was = "" if beside is None else f"before: {beside.start_cpu:.2f}"
        if beside is not None and "MB" in name:
            was = f"before: {beside.start_mb:.0f}"
        ratios.append(
            Ratio(
                name=name,
                value=value,
                limit=limit,
                at_most=True,
                beside=was,
                runs=len(server.starts),
            )
        )
    return ratios


def _added_p99(samples: dict[Cell, list[Sample]]) -> Iterator[Ratio]:
    """What the service adds to the slowest of a hundred calls, of a model that takes 50 ms.

    Of many callers in milliseconds. Of one beside the tree before, as the same tree's own differ by
    half from machine to machine (docs/decisions/1020).
    """
    for callers in (64, 1):
        if (OURS, 50, callers) not in samples:
            continue
        cell, bare = samples[OURS, 50, callers], samples[BARE, 50, callers]
        added = _added(samples, OURS, 50, callers, 0.99)
        beside = f"bare call: {_percentile(bare, 0.99):.2f} ms"
        before = None
        if (BEFORE, 50, callers) in samples:
            before = _added(samples, BEFORE, 50, callers, 0.99)
            beside += f"; before: {before:.2f} ms more"
        if callers > 1:
            yield Ratio(
                name=f"added p99 in ms, {callers} callers, model at 50 ms",
                value=added,
                limit=5.0,
                at_most=True,
                measured=f"{_percentile(cell, 0.99):.2f} ms",
                beside=beside,
                runs=len(cell),
            )
        elif before is not None:
            yield Ratio(
                name="added p99, 1 caller, model at 50 ms, of the tree before's",
                value=added / before,
                limit=ALONE_OF_BEFORE,
                at_most=True,
                measured=f"{_percentile(cell, 0.99):.2f} ms, {added:.2f} ms of them added",
                beside=beside,
                runs=len(cell),
            )


if __name__ == "__main__":
    sys.exit(main())
