"""`python -m benchmarks.batch`: a million records, beside a bare loop and a job of Ray Data.

Every runner asks the same scripted model about the rows of the same table, without latency: what is
left is what a runner itself costs. A run that does not find exactly what is right is no run.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.eval.measuring import (
    ROOT,
    Cost,
    MeasurementError,
    MockModel,
    bare_environment,
    last_line_as_json,
    run,
)
from benchmarks.eval.printing import machine, number, table
from benchmarks.eval.repository import (
    PRODUCT,
    BenchRepository,
    evaluate_command,
    run_command,
    run_outcome,
)
from benchmarks.eval.task import IN_FLIGHT, TASK, Outcome, right_outcome
from benchmarks.results import Ratio, Recording
from prompt_hub.core import aws_names

RAY_VERSION = "2.60.0"
INSTALLED = ROOT / ".local" / "bench-batch"
RATE_ROWS = 20_000
"""Rows of a run whose calls a CPU-second are compared: Ray finishes so many within minutes."""
SHARDS = (1, 2, 4)
PEAK_MB = 150.0


@dataclass(frozen=True)
class Bench:
    """One repository and one model for all runs."""

    folder: Path
    repository: BenchRepository
    model: MockModel
    rows: int
    """Of the long run."""
    repeats: int

    def ours(self, count: int) -> Cost:
        """What `prompt-hub run` costs over so many rows."""
        output = self.folder / f"ours-{count}.jsonl"
        environment = {**self._environment, "PYTHONPATH": str(PRODUCT)}
        self.model.reset()
        cost = run(
            run_command(self.table(count), output), folder=self.folder, environment=environment
        )
        self._check("prompt-hub run", run_outcome(output), count)
        output.unlink()
        return cost

    def loop(self, count: int) -> Cost:
        """What the bare loop of aiohttp costs."""
        words = [self.model.base_url, str(self.table(count)), str(IN_FLIGHT)]
        module = "benchmarks.batch.peers.aiohttp_loop"
        self.model.reset()
        cost = run(
            [sys.executable, "-m", module, *words],
            folder=self.folder,
            environment=bare_environment(self.folder / "home", {"PYTHONPATH": str(ROOT)}),
        )
        found = last_line_as_json(self.folder)
        self._check(
            "the bare loop", Outcome(*(int(str(found[name])) for name in ("right", "wrong"))), count
        )
        return cost

    def ray(self, python: Path, count: int) -> float:
        """CPU-seconds of a job of Ray Data, all of its processes."""
        output = self.folder / "ray"
        shutil.rmtree(output, ignore_errors=True)
        words = [self.model.base_url, str(self.table(count)), str(IN_FLIGHT), str(output)]
        module = "benchmarks.batch.peers.ray_data"
        self.model.reset()
        run(
            [str(python), "-m", module, *words],
            folder=self.folder,
            environment=bare_environment(self.folder / "home", {"PYTHONPATH": str(ROOT)}),
        )
        found = last_line_as_json(self.folder)
        asked = self.model.stats().unique_answered
        if asked != count:
            raise MeasurementError(f"Ray asked about {asked} of {count} rows.")
        return float(str(found["cpu_seconds"]))

    def sharded(self, count: int, shards: int) -> float:
        """CPU-seconds of `prompt-hub records` over so many rows, all of its processes."""
        store = self.folder / "store"
        shutil.rmtree(store, ignore_errors=True)
        key = f"{aws_names.INCOMING}{TASK}/rows.csv"
        (store / key).parent.mkdir(parents=True)
        shutil.copyfile(self.table(count), store / key)
        of_run = ["--task", TASK, "--run", "bench"]
        size = str(-(-count // shards))
        self.model.reset()
        # One child at a time: limits of the model are divided by those that run at once.
        words = ["plan", "--key", key, "--run", "bench", "--children", "1", "--shard-records", size]
        seconds = self._records(store, words)
        for shard in range(shards):
            seconds += self._records(store, ["answer", *of_run, "--shard", str(shard)])
        seconds += self._records(store, ["merge", *of_run])
        output = store / aws_names.run_key(TASK, "bench", "output.jsonl")
        self._check(f"{shards} shards", run_outcome(output), count)
        return seconds

    def _records(self, store: Path, words: Sequence[str]) -> float:
        command = [sys.executable, "-m", "prompt_hub.cli", "records", *words, "--store", str(store)]
        environment = {**self._environment, "PYTHONPATH": str(PRODUCT)}
        return run(command, folder=self.folder, environment=environment).cpu_seconds

    @property
    def _environment(self) -> Mapping[str, str]:
        return self.repository.environment(self.model.base_url)

    def table(self, count: int) -> Path:
        """A table of so many rows, written once."""
        path = self.repository.root.parent / f"{count}.csv"
        return path if path.exists() else self.repository.write_records(count)

    def _check(self, who: str, outcome: Outcome, count: int) -> None:
        asked = self.model.stats().unique_answered
        if outcome != right_outcome(count) or asked != count:
            raise MeasurementError(
                f"{who} says {outcome} after {asked} distinct answers, it must be"
                f" {right_outcome(count)} after {count}."
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0 if every promise is kept, 1 if one is missed, 2 if one has no number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the long run (1000000)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each runner (default 5)")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    arguments = parser.parse_args(argv)
    print(machine(), flush=True)
    recording = Recording("batch")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="prompt-hub-batch-") as name,
            MockModel(latency=0.0) as model,
        ):
            folder = Path(name)
            repository = BenchRepository(folder / "records", 500)
            environment = repository.environment(model.base_url)
            run(evaluate_command(), folder=folder, environment=environment)
            repository.release(environment)
            bench = Bench(folder, repository, model, arguments.rows, arguments.repeats)
            for section in arguments.only:
                print(f"\n## {section}\n", flush=True)
                recording.add(SECTIONS[section](bench))
    except MeasurementError as error:
        print(f"benchmarks.batch: NOT MEASURED: {error}", file=sys.stderr)
        return 2
    return 0 if recording.kept else 1


def _rates(bench: Bench) -> list[Ratio]:
    """Calls a CPU-second of ours and of both peers, one after the other."""
    python = _ray()
    ours, loop, job = [], [], []
    for _ in range(bench.repeats):
        ours.append(RATE_ROWS / bench.ours(RATE_ROWS).cpu_seconds)
        loop.append(RATE_ROWS / bench.loop(RATE_ROWS).cpu_seconds)
        job.append(RATE_ROWS / bench.ray(python, RATE_ROWS))
    rates = {
        "prompt-hub run": median(ours),
        "bare loop of aiohttp": median(loop),
        f"Ray Data {RAY_VERSION}": median(job),
    }
    rows = [[name, number(rate, 0)] for name, rate in rates.items()]
    print(table((f"runner, {RATE_ROWS:,} rows", "calls a CPU-second"), rows), flush=True)
    mine, bare, ray = rates.values()
    shown = f"{mine:,.0f}"
    return [
        Ratio(
            name=f"calls a CPU-second of {RATE_ROWS:,} records, of a bare aiohttp loop's",
            value=mine / bare,
            limit=0.5,
            at_most=False,
            measured=shown,
            beside=f"aiohttp: {bare:,.0f}",
            runs=bench.repeats,
        ),
        Ratio(
            name=f"calls a CPU-second of {RATE_ROWS:,} records, times Ray Data's",
            value=mine / ray,
            limit=3.0,
            at_most=False,
            measured=shown,
            beside=f"Ray Data {RAY_VERSION}: {ray:,.0f}",
            runs=bench.repeats,
        ),
    ]


def _memory(bench: Bench) -> list[Ratio]:
    """Peaks of one process over all rows and over a tenth of them."""
    few, many = bench.rows // 10, bench.rows
    costs = {count: bench.ours(count) for count in (few, many)}
    rows = [
        [f"{count:,}", number(cost.peak_mb, 0), number(count / cost.cpu_seconds, 0)]
        for count, cost in costs.items()
    ]
    print(table(("rows", "peak MB", "calls a CPU-second"), rows), flush=True)
    most, least = costs[many].peak_mb, costs[few].peak_mb
    return [
        Ratio(
            name=f"peak of {many:,} records, MB",
            value=most,
            limit=PEAK_MB,
            at_most=True,
        ),
        Ratio(
            name=f"peak of {many:,} records, of that of {few:,}",
            value=most / least,
            limit=1.1,
            at_most=True,
            measured=f"{most:.0f} MB",
            beside=f"{least:.0f} MB",
        ),
    ]


def _shards(bench: Bench) -> list[Ratio]:
    """CPU of a tenth of the rows in shards, children one after the other, of the single process."""
    count = bench.rows // 10
    single = bench.ours(count).cpu_seconds
    found = {shards: bench.sharded(count, shards) for shards in SHARDS}
    rows = [[f"{shards}", number(cpu, 1), number(cpu / single)] for shards, cpu in found.items()]
    print(f"single process: {single:.1f} s of CPU\n")
    print(table(("shards", "CPU s", "of the single process"), rows), flush=True)
    return [
        Ratio(
            name=f"CPU of {count:,} records in {shards} shards, of the single process's",
            value=cpu / single,
            limit=1.5,
            at_most=True,
            measured=f"{cpu:.1f} s",
            beside=f"{single:.1f} s",
        )
        for shards, cpu in found.items()
    ]


SECTIONS: Mapping[str, Callable[[Bench], list[Ratio]]] = {
    "rates": _rates,
    "shards": _shards,
    "memory": _memory,
}


def _ray() -> Path:
    """Python of an environment with Ray Data, made once."""
    home = INSTALLED / f"ray-{RAY_VERSION}"
    python = home / "bin" / "python"
    if not python.exists():
        print(f"Ray Data {RAY_VERSION} is installed once ...", flush=True)
        uv = [sys.executable, "-m", "uv"]
        wanted = [f"ray[data]=={RAY_VERSION}", f"openai[aiohttp]=={version('openai')}", "psutil"]
        try:
            subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, home], check=True)
            words = ["pip", "install", "--quiet", "--python", str(python), *wanted]
            subprocess.run([*uv, *words], check=True)
        except BaseException as error:
            shutil.rmtree(home, ignore_errors=True)
            if isinstance(error, subprocess.CalledProcessError):
                raise MeasurementError(
                    "Ray Data could not be installed; why stands above."
                ) from None
            raise
    return python


if __name__ == "__main__":
    sys.exit(main())
