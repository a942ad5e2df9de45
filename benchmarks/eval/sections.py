"""The sections of the benchmark: each prints what it measured and returns its checks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.earlier_tree import BEFORE_PERFORMANCE, EarlierTree, earlier_tree
from benchmarks.eval.measuring import (
    ROOT,
    Cost,
    MeasurementError,
    MockModel,
    Stats,
    bare_environment,
    last_line_as_json,
    run,
    size_of,
)
from benchmarks.eval.peers import promptfoo
from benchmarks.eval.printing import number, table
from benchmarks.eval.repository import (
    PRODUCT,
    BenchRepository,
    evaluate_command,
    run_command,
    run_outcome,
)
from benchmarks.eval.task import IN_FLIGHT, LATENCY_SECONDS, Outcome, right_outcome
from benchmarks.results import Ratio

CEILING_REQUESTS = 10_000
STARTUP_REPEATS = 7
OURS = "prompt-hub evaluate"


@dataclass(frozen=True)
class Plan:
    """How much to measure: sizes, repeats, and a folder for everything that is written."""

    folder: Path
    examples: int
    many: int
    repeats: int
    records: int = 200_000
    most: int = 1_000_000
    both: int = 200_000
    """Examples that candidate and champion are asked."""


@dataclass(frozen=True, kw_only=True)
class Runner:
    """One runner: how a fresh run is started, and what it says of the examples afterwards.

    `prepare` forgets all earlier runs and returns command and environment; `kept` is where the
    runner writes its results, None if it keeps none.
    """

    name: str
    prepare: Callable[[str], tuple[Sequence[str | Path], Mapping[str, str]]]
    outcome: Callable[[], Outcome]
    kept: Path | None


@dataclass(frozen=True)
class Run:
    """One fresh process: what it cost, what the mock model saw, how many bytes it kept."""

    cost: Cost
    stats: Stats
    kept_bytes: int | None

    @property
    def first_request(self) -> float | None:
        """Seconds from the start of the process until its first request arrived."""
        at = self.stats.first_request_at
        return None if at is None else at - self.cost.started_at


def sample(runner: Runner, model: MockModel, plan: Plan, examples: int, arms: int = 1) -> Run:
    """One cold run; raises `MeasurementError` if it did not find what every runner must find."""
    command, environment = runner.prepare(model.base_url)
    model.reset()
    cost = run(command, folder=plan.folder, environment=environment)
    stats, outcome = model.stats(), runner.outcome()
    if outcome != right_outcome(examples) or stats.unique_answered != arms * examples:
        words = f"{runner.name} says {outcome} after {stats.unique_answered} distinct answers"
        right = f"{right_outcome(examples)} after {arms * examples}"
        raise MeasurementError(f"{words}, it must be {right}.")
    return Run(cost, stats, size_of(runner.kept) if runner.kept else None)


# --- Speed -------------------------------------------------------------------------------------


def speed(plan: Plan) -> list[Ratio]:
    """Cold runs of ours and of the peers, interleaved: wall, CPU, memory, start-up, disk."""
    node = promptfoo.install()
    ours = _ours(plan, plan.examples)
    bare = _module(plan, "bare openai create()", "bare_openai", lambda url: url)
    sockets = _module(plan, "raw sockets (floor)", "socket_baseline", _port)
    print(f"mock model: at most {_ceiling(plan):,.0f} answers a second without latency")
    with earlier_tree() as tree, MockModel() as model:
        before = _ours(plan, plan.examples, tree)
        peers = [before, bare, _promptfoo(plan, node), sockets]
        samples: dict[str, list[Run]] = {runner.name: [] for runner in (ours, *peers)}
        for _ in range(plan.repeats):
            for peer in peers:
                # Before every peer one of ours: both see the machine in the same mood.
                for runner in (ours, peer):
                    samples[runner.name].append(sample(runner, model, plan, plan.examples))
    ideal = plan.examples / IN_FLIGHT * LATENCY_SECONDS
    print(
        f"{plan.examples:,} examples, 64 in flight at 50 ms: {ideal:.2f} s if nothing cost time\n"
    )
    print(_speed_table(samples, plan.examples), flush=True)

    wall = _medians(samples, lambda element: element.cost.seconds)
    cpu = _medians(samples, lambda element: element.cost.cpu_seconds)
    first = _medians(samples, lambda element: element.first_request or 0.0)
    mine = samples[OURS]
    return [
        Ratio(
            name="times faster than promptfoo",
            value=wall[peers[2].name] / wall[OURS],
            limit=4.0,
            at_most=False,
            runs=plan.repeats,
        ),
        Ratio(
            name="times the wall of the bare create() loop",
            value=wall[OURS] / wall[bare.name],
            limit=1.1,
            at_most=True,
            runs=plan.repeats,
        ),
        *(
            Ratio(
                name=f"{what} of an evaluation, of {other.name}",
                value=values[OURS] / values[other.name],
                limit=limit,
                at_most=True,
                measured=f"{values[OURS]:.2f} s",
                beside=f"{values[other.name]:.2f} s",
                runs=plan.repeats,
            )
            for what, values, other, limit in (
                ("wall", wall, sockets, 1.35),
                ("CPU time", cpu, before, 0.54),
                ("time to the first request", first, before, 0.6),
            )
        ),
        Ratio(
            name="on disk a result, kB",
            value=median(item.kept_bytes or 0 for item in mine) / plan.examples / 1000,
            limit=1.5,
            at_most=True,
            runs=plan.repeats,
        ),
        Ratio(
            name="process start to first request, s",
            value=first[OURS],
            limit=0.5,
            at_most=True,
            runs=plan.repeats,
        ),
    ]


def _medians(
    samples: Mapping[str, Sequence[Run]], value: Callable[[Run], float]
) -> Mapping[str, float]:
    return {name: median(map(value, runs)) for name, runs in samples.items()}


def _speed_table(samples: Mapping[str, Sequence[Run]], examples: int) -> str:
    def middle(runs: Sequence[Run], value: Callable[[Run], float | None]) -> float | None:
        found = [item for item in map(value, runs) if item is not None]
        return median(found) if found else None

    def kilobytes(current: Run) -> float | None:
        return None if current.kept_bytes is None else current.kept_bytes / examples / 1000

    mine = median(current.cost.seconds for current in samples[OURS])
    rows = []
    for name, runs in samples.items():
        wall = median(current.cost.seconds for current in runs)
        rows.append(
            [
                name,
                number(wall),
                number(wall / mine),
                number(middle(runs, lambda current: current.cost.cpu_seconds)),
                number(middle(runs, lambda element: element.cost.peak_mb), 0),
                number(middle(runs, lambda entry: entry.first_request)),
                number(middle(runs, lambda item: item.stats.in_flight_max), 0),
                number(middle(runs, kilobytes)),
                str(len(runs)),
            ]
        )
    header = "runner", "wall s", "× ours", "CPU s", "peak MB", "first request s", "in flight"
    return table([*header, "kB kept a result", "runs"], rows)


def _ours(plan: Plan, examples: int, earlier: EarlierTree | None = None) -> Runner:
    name = f"the tree before ({BEFORE_PERFORMANCE})" if earlier else OURS
    folder = "before" if earlier else "ours"
    repository = BenchRepository(plan.folder / f"{folder}-{examples}", examples)
    return _runner(name, repository, earlier)


def _runner(name: str, repository: BenchRepository, earlier: EarlierTree | None = None) -> Runner:
    def prepare(base_url: str) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        repository.forget()
        return evaluate_command(earlier=earlier), repository.environment(base_url)

    return Runner(name=name, prepare=prepare, outcome=repository.outcome, kept=repository.kept)


def _released(folder: Path, model: MockModel) -> BenchRepository:
    """A repository with a champion, released on a few examples."""
    repository = BenchRepository(folder, 500)
    environment = repository.environment(model.base_url)
    run(evaluate_command(), folder=folder, environment=environment)
    repository.release(environment)
    return repository


def _promptfoo(plan: Plan, node: Path) -> Runner:
    peer = promptfoo.Promptfoo(plan.folder / "promptfoo", plan.examples, node)

    def prepare(base_url: str) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        peer.forget()
        return peer.command(base_url), peer.environment()

    return Runner(name="promptfoo 0.123.1", prepare=prepare, outcome=peer.outcome, kept=peer.kept)


def _module(plan: Plan, name: str, module: str, place: Callable[[str], str]) -> Runner:
    """A peer that is one of our own modules; it prints what it found and keeps nothing."""

    def prepare(base_url: str) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        words = ["-m", f"benchmarks.eval.peers.{module}", place(base_url)]
        command = [sys.executable, *words, str(plan.examples), str(IN_FLIGHT)]
        return command, bare_environment(plan.folder / "home")

    def outcome() -> Outcome:
        message = last_line_as_json(plan.folder)
        return Outcome(right=int(str(message["right"])), wrong=int(str(message["wrong"])))

    return Runner(name=name, prepare=prepare, outcome=outcome, kept=None)


def _port(base_url: str) -> str:
    return base_url.rsplit(":", 1)[1].split("/")[0]


def _ceiling(plan: Plan) -> float:
    """Answers a second that the mock model gives when it does not wait."""
    with MockModel(latency=0.0) as model:
        words = [
            "-m",
            "benchmarks.eval.peers.socket_baseline",
            str(model.port),
            str(CEILING_REQUESTS),
        ]
        command = [sys.executable, *words, str(IN_FLIGHT)]
        run(command, folder=plan.folder, environment=bare_environment(plan.folder / "home"))
        return CEILING_REQUESTS / float(str(last_line_as_json(plan.folder)["seconds"]))


# --- Reruns ------------------------------------------------------------------------------------


def cached(plan: Plan) -> list[Ratio]:
    """The same evaluation again: once unchanged, once with another threshold.

    The second is the honest one: its verdict is not remembered, so that every answer has to be
    found and scored again. Either way the mock model must not be asked at all.
    """
    repository = BenchRepository(plan.folder / "cached", plan.examples)
    again: dict[str, list[Cost]] = {"unchanged": [], "another threshold": []}
    asked = 0
    with MockModel() as model:
        environment = repository.environment(model.base_url)
        run(evaluate_command(), folder=plan.folder, environment=environment)
        for _ in range(plan.repeats):
            for what, costs in again.items():
                if what == "another threshold":
                    repository.lower_threshold()
                model.reset()
                costs.append(run(evaluate_command(), folder=plan.folder, environment=environment))
                asked += model.stats().requests
                if repository.outcome() != right_outcome(plan.examples):
                    words = f"the rerun ({what}) says {repository.outcome()}"
                    raise MeasurementError(f"{words}, not {right_outcome(plan.examples)}.")
    rows = [
        [
            f"rerun of {plan.examples:,}, {what}",
            number(median(cost.seconds for cost in costs)),
            number(median(cost.cpu_seconds for cost in costs)),
            number(median(cost.peak_mb for cost in costs), 0),
        ]
        for what, costs in again.items()
    ]
    print(table(("rerun", "wall s", "CPU s", "peak MB"), rows), flush=True)
    wall = max(median(cost.seconds for cost in costs) for costs in again.values())
    return [
        Ratio(name="fully cached rerun, s", value=wall, limit=1, at_most=True, runs=plan.repeats),
        Ratio(name="calls of a fully cached rerun", value=asked, limit=0, at_most=True),
    ]


# --- Many examples -----------------------------------------------------------------------------


def memory(plan: Plan) -> list[Ratio]:
    """Cold runs of many examples, of ten times as many, and of two arms: the peaks of memory."""
    many, most, both = plan.many, plan.most, plan.both
    # At 50 ms a million would wait for a quarter of an hour, and waiting takes no memory.
    with MockModel() as slow, MockModel(latency=0.0) as quick:
        runs = [
            (many, sample(_ours(plan, many), slow, plan, many)),
            (most, sample(_ours(plan, most), quick, plan, most)),
        ]
        repository = _released(plan.folder / "both", quick)
        repository.propose(both)
        beside = _runner(f"{OURS}, with a champion", repository)
        runs.append((both, sample(beside, quick, plan, both, arms=2)))
    rows = [
        [
            name,
            f"{count:,}",
            number(item.cost.seconds),
            number(item.cost.cpu_seconds),
            number(item.cost.peak_mb, 0),
            number((item.kept_bytes or 0) / count / 1000),
        ]
        for name, (count, item) in zip((OURS, OURS, beside.name), runs, strict=True)
    ]
    header = "runner", "examples", "wall s", "CPU s", "peak MB", "kB kept a result"
    print(table(header, rows), flush=True)
    peaks = [item.cost.peak_mb for _, item in runs]
    return [
        Ratio(name=f"peak of {many:,} examples, MB", value=peaks[0], limit=160.0, at_most=True),
        Ratio(name=f"peak of {most:,} examples, MB", value=peaks[1], limit=250.0, at_most=True),
        Ratio(
            name=f"memory an example from {many:,} to {most:,}, kB",
            value=1000 * (peaks[1] - peaks[0]) / (most - many),
            limit=0.15,
            at_most=True,
        ),
        Ratio(
            name=f"peak of {both:,} examples with a champion, MB",
            value=peaks[2],
            limit=130.0,
            at_most=True,
        ),
    ]


def records(plan: Plan) -> list[Ratio]:
    """`prompt-hub run` over many records: its calls a CPU-second beside the engine's, its memory.

    The engine is measured on a tenth as many examples, before and after.
    """
    few, engine = plan.records // 100, _ours(plan, plan.records // 10)
    costs: dict[int, Cost] = {}
    with MockModel() as model:
        repository = _released(plan.folder / "records", model)
        evaluated = [sample(engine, model, plan, plan.records // 10)]
        for count in (few, plan.records):
            costs[count] = _over_records(plan, repository, model, count)
        evaluated.append(sample(engine, model, plan, plan.records // 10))
    rates = {count: count / cost.cpu_seconds for count, cost in costs.items()}
    calls = 2 * (plan.records // 10) / sum(item.cost.cpu_seconds for item in evaluated)
    rows = [
        [f"prompt-hub run of {count:,}", number(rates[count], 0), number(cost.peak_mb, 0)]
        for count, cost in costs.items()
    ]
    rows.append([f"{OURS} of {plan.records // 10:,}", number(calls, 0), "—"])
    print(table(("command", "calls a CPU-second", "peak MB"), rows), flush=True)
    most, least = costs[plan.records].peak_mb, costs[few].peak_mb
    return [
        Ratio(
            name=f"calls a CPU-second of {plan.records:,} records, of the engine's",
            value=rates[plan.records] / calls,
            limit=0.7,
            at_most=False,
            measured=f"{rates[plan.records]:,.0f}",
            beside=f"{calls:,.0f}",
        ),
        Ratio(
            name=f"peak of {plan.records:,} records, of that of {few:,}",
            value=most / least,
            limit=1.15,
            at_most=True,
            measured=f"{most:.0f} MB",
            beside=f"{least:.0f} MB",
        ),
    ]


def _over_records(plan: Plan, repository: BenchRepository, model: MockModel, count: int) -> Cost:
    output = plan.folder / f"records-{count}.jsonl"
    environment = {**repository.environment(model.base_url), "PYTHONPATH": str(PRODUCT)}
    command = run_command(repository.write_records(count), output)
    model.reset()
    cost = run(command, folder=plan.folder, environment=environment)
    outcome, asked = run_outcome(output), model.stats().unique_answered
    if outcome != right_outcome(count) or asked != count:
        words = f"prompt-hub run says {outcome} after {asked} distinct answers"
        raise MeasurementError(f"{words}, it must be {right_outcome(count)} after {count}.")
    return cost


# --- Start-up ----------------------------------------------------------------------------------


def startup(plan: Plan) -> list[Ratio]:
    """What a person waits for before anything happens."""
    commands = {
        "prompt-hub --help, s": ["-m", "prompt_hub.cli", "--help"],
        "validate this repository, s": [str(PRODUCT / "validate_prompt.py")],
    }
    environment = bare_environment(plan.folder / "home", {"PYTHONPATH": str(PRODUCT)})
    rows, checks = [], []
    for name, words in commands.items():
        costs = [
            run([sys.executable, *words], folder=plan.folder, environment=environment, cwd=ROOT)
            for _ in range(STARTUP_REPEATS)
        ]
        wall, best = median(cost.seconds for cost in costs), min(cost.seconds for cost in costs)
        peak = number(median(cost.peak_mb for cost in costs), 0)
        rows.append([name, number(wall, 3), number(best, 3), peak])
        checks.append(Ratio(name=name, value=wall, limit=0.3, at_most=True, runs=STARTUP_REPEATS))
    print(table(("command", "median", "best s", "peak MB"), rows), flush=True)
    return checks


SECTIONS: dict[str, Callable[[Plan], list[Ratio]]] = {
    "speed": speed,
    "cached": cached,
    "memory": memory,
    "records": records,
    "startup": startup,
}
