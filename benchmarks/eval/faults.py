"""`python -m benchmarks.eval.faults`: kill -9 in the middle of an evaluation on a bad day.

The mock model answers some calls with 429 and Retry-After, some with 500, breaks some connections,
garbles some answers. The evaluation is killed without warning and run again to its end. Nothing may
be missing, every total must be exact, and no answer may be paid twice but those that were in flight
at the kill.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.eval import task
from benchmarks.eval.measuring import ROOT, MeasurementError, MockModel, Stats, last_words, run
from benchmarks.eval.printing import number
from benchmarks.eval.repository import BenchRepository, evaluate_command
from benchmarks.results import Ratio, ratio_table

# Whatever the verdict: what is wrong is found in the record, and said example by example.
_VERDICT_CODES = (0, 1, 3, 4)
_KILL_TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """How bad the day is.

    `fault_rate` is the share of calls hit by each of the four kinds of fault, `kill_at` the shares
    of examples answered at which the process is killed, one kill after the other.
    """

    examples: int = 2000
    in_flight: int = task.IN_FLIGHT
    fault_rate: float = 0.01
    seed: int = 3
    kill_at: tuple[float, ...] = (0.4,)


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill: what the mock model had answered by then, and what it was still answering."""

    answered: int
    in_flight: int


@dataclass(frozen=True, kw_only=True)
class FaultReport:
    """What came of it: `faults` by kind, and the promises."""

    kills: tuple[Kill, ...]
    faults: dict[str, int]
    requests: int
    seconds: float
    checks: list[Ratio]

    @property
    def broken(self) -> list[str]:
        """The promises that were not kept, in words."""
        return [" ".join(check.row) for check in self.checks if not check.kept]


def fault_run(plan: FaultPlan, folder: Path) -> FaultReport:
    """Evaluate, kill, evaluate to the end, and count.

    Raises:
        MeasurementError: the process was not there to be killed, or crashed afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    repository = BenchRepository(folder, plan.examples)
    with MockModel(fault_rate=plan.fault_rate, fault_seed=plan.seed) as model:
        environment = repository.environment(model.base_url)
        kills = tuple(
            _evaluate_and_kill(plan, folder, model, environment, round(share * plan.examples))
            for share in plan.kill_at
        )
        command = evaluate_command(plan.in_flight)
        cost = run(command, folder=folder, environment=environment, accept=_VERDICT_CODES)
        stats = model.stats()
    return FaultReport(
        kills=kills,
        faults=stats.faults,
        requests=stats.requests,
        seconds=cost.seconds,
        checks=[
            Ratio(
                name="answers at the last kill",
                value=max((kill.answered for kill in kills), default=0),
                limit=plan.examples - 1,
                at_most=True,
            ),
            *_nothing_lost(repository, stats),
            *_totals(repository),
            Ratio(
                name=f"answers paid again after {len(kills)} kill -9",
                value=stats.paid_again,
                limit=len(kills) * plan.in_flight,
                at_most=True,
            ),
        ],
    )


def _evaluate_and_kill(
    plan: FaultPlan,
    folder: Path,
    model: MockModel,
    environment: Mapping[str, str],
    answers: int,
) -> Kill:
    log = folder / "killed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            evaluate_command(plan.in_flight),
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        stats = _wait_for(model, process, answers, log)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # The mock model finishes what it had begun; only then its counts stand still.
    while model.stats().in_flight:
        time.sleep(0.02)
    return Kill(answered=stats.answered, in_flight=stats.in_flight)


def _wait_for(model: MockModel, process: subprocess.Popen[bytes], answers: int, log: Path) -> Stats:
    deadline = time.monotonic() + _KILL_TIMEOUT_SECONDS
    # Never in a lull: a kill with nothing in flight proves little.
    while (stats := model.stats()).answered < answers or not stats.in_flight:
        if process.poll() is not None:
            raise MeasurementError(
                f"the evaluation ended by itself, exit code {process.returncode}, after"
                f" {stats.answered} answers: there was nothing to kill at {answers}."
                f"\n{last_words(log)}"
            )
        if time.monotonic() > deadline:
            raise MeasurementError(f"the evaluation hung at {stats.answered} of {answers} answers.")
        time.sleep(0.005)
    return stats


def _nothing_lost(repository: BenchRepository, stats: Stats) -> list[Ratio]:
    details, wanted = repository.details(), repository.examples
    scored = Counter(detail.id for detail in details if detail.score is not None)
    right = task.right_outcome(wanted)
    found = repository.outcome()
    return [
        exactly("examples with a result", len(scored), wanted),
        exactly("detail lines", len(details), wanted),
        exactly("examples right", found.right, right.right),
        exactly("examples wrong", found.wrong, right.wrong),
        exactly("distinct requests answered", stats.unique_answered, wanted),
    ]


def _totals(repository: BenchRepository) -> list[Ratio]:
    """The record's sums against those of the answers that the mock model must have given."""
    record = repository.record()
    arm = record.candidate if record else None
    tokens_in = tokens_out = 0
    for item in task.items(repository.examples):
        used = task.usage(item.messages, task.answer_text(item.messages))
        tokens_in += used[0]
        tokens_out += used[1]
    price_in, price_out = task.USD_PER_MILLION
    # In millionths of a cent: whole enough to be compared as numbers.
    usd = round((tokens_in * price_in + tokens_out * price_out) * 100)
    right = task.right_outcome(repository.examples)
    share = round(1e6 * right.right / repository.examples)
    return [
        exactly("examples in the record", arm.n if arm else 0, repository.examples),
        exactly("unmeasured in the record", arm.unmeasured if arm else -1, 0),
        exactly("score in the record, ppm", round(1e6 * (arm.score or 0)) if arm else 0, share),
        exactly("tokens in", arm.tokens_in if arm else 0, tokens_in),
        exactly("tokens out", arm.tokens_out if arm else 0, tokens_out),
        exactly("cost, 1e-8 US dollars", round((arm.usd or 0) * 1e8) if arm else 0, usd),
    ]


def exactly(name: str, found: int, wanted: int) -> Ratio:
    """Return the promise that a count is what it must be."""
    return Ratio(
        name=f"{name}, off by",
        value=abs(found - wanted),
        limit=0,
        at_most=True,
        measured=f"{found:,}",
        beside=f"{wanted:,}",
    )


def fault_section(plan: FaultPlan, folder: Path) -> list[Ratio]:
    """Run, print what happened, return the promises."""
    report = fault_run(plan, folder)
    for kill in report.kills:
        print(f"kill -9 after {kill.answered} answers, {kill.in_flight} calls in flight")
    kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(report.faults.items()))
    print(f"faults: {kinds or 'none'}; {report.requests} calls in all")
    print(f"the last run ended after {number(report.seconds)} s\n")
    return report.checks


def main() -> int:
    """Run and print; 0 if every promise is kept, 1 if one is missed, 2 if it could not be run."""
    default = FaultPlan()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.eval.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--examples", type=int, default=default.examples)
    parser.add_argument("--fault-rate", type=float, default=default.fault_rate)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--kill-at", type=float, nargs="*", default=default.kill_at)
    arguments = parser.parse_args()
    plan = FaultPlan(
        examples=arguments.examples,
        fault_rate=arguments.fault_rate,
        seed=arguments.seed,
        kill_at=tuple(arguments.kill_at),
    )
    with tempfile.TemporaryDirectory(prefix="prompt-hub-faults-") as folder:
        try:
            checks = fault_section(plan, Path(folder))
        except MeasurementError as error:
            print(f"benchmarks.eval.faults: {error}", file=sys.stderr)
            return 2
    print(ratio_table(checks))
    return 0 if all(check.kept for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
