"""`python -m benchmarks.gate`: how often the gate errs, and what it costs (docs/gate.md).

Every evaluation is decided by the product's own looks and gate; only the scores are drawn, from
worlds in which the truth is known. Ends with 1 if an error is more frequent than stated, beyond
three Monte-Carlo standard errors.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

if __name__ == "__main__":  # from a checkout, whatever is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "pipeline_image"))

from benchmarks.gate.opponents import client
from benchmarks.gate.scenarios import WORLDS, World
from benchmarks.gate.study import (
    Outcomes,
    Rate,
    Rules,
    fixed_size,
    passes_at_once,
    passes_z,
    simulate,
    stated_power,
)
from prompt_hub.gate.rules import alpha_of
from prompt_hub.gate.types import Status

RUNS = 2000
BEHIND = 0.10
"""By how much less often equal candidates may pass than by BCa where that errs within its bound."""
POWER_RANGE = (0.65, 0.95)
"""What a stated probability of 0.8 may turn out to be: it rests on scores of one evaluation."""


class Study:
    """Runs the simulations, prints what they show, collects what must not be."""

    def __init__(self, pool: Executor, runs: int, rules: Rules = "ours") -> None:
        self._pool = pool
        self._runs = runs
        self._rules: Rules = rules
        self.columns = ("before", "z", *(client.NAMES if rules == "all" else ()))
        self.failures: list[str] = []
        self._lines: list[str] = []

    def errors(self, world: World) -> tuple[Outcomes, Outcomes]:
        """Both errors in one world, one line."""
        alpha = alpha_of(world.gate)
        equal = simulate(self._pool, world, 0.0, self._runs, rules=self._rules)
        worse = simulate(self._pool, world, world.gate.margin, self._runs, rules=self._rules)
        self._at_most(f"{world.name}: equal, blocked", equal.rate(Status.BLOCK), alpha)
        self._at_most(f"{world.name}: worse by the margin, passed", worse.rate(Status.PASS), alpha)
        self._at_most(f"{world.name}: at the margin, blocked", worse.rate(Status.BLOCK), alpha)
        print(
            f"{world.name:<30}{world.size:>5}{world.gate.margin:>6}"
            f"  {equal.rate(Status.PASS)!s:<12}{equal.rate(Status.INCONCLUSIVE)!s:<13}"
            f"{equal.rate(Status.BLOCK)!s:<14}{worse.rate(Status.PASS)!s:<13}"
            f"{worse.rate(Status.BLOCK)!s}",
            flush=True,
        )
        self._lines.append(self._beside(world, equal, worse, alpha))
        return equal, worse

    def _beside(self, world: World, equal: Outcomes, worse: Outcomes, alpha: float) -> str:
        """One line of the table of rules: how often each passes an equal and a worse candidate."""
        cells = [f"{equal.rate(Status.PASS).value:.3f} {worse.rate(Status.PASS).value:.3f}  "]
        for rule in self.columns:
            wrong = worse.passed(rule)
            mark = "!" if wrong.exceeds(alpha) else " "
            cells.append(f"{equal.passed(rule).value:.3f} {wrong.value:.3f}{mark} ")
        if self._rules == "all":
            short = equal.passed("bca").value - equal.rate(Status.PASS).value
            if short > BEHIND and not worse.passed("bca").exceeds(alpha):
                self.failures.append(
                    f"{world.name}: equal candidates pass {short:.2f} less often than by BCa,"
                    " which does not err more than it may here"
                )
        return f"{world.name:<30}{world.size:>5}{world.gate.margin:>7}  " + " ".join(cells)

    def beside(self) -> None:
        """Print the table of rules."""
        names = ("gate", *self.columns)
        print("\nPassed by rule: equal candidate, candidate worse by the margin (! errs too often)")
        print(f"{'world':<30}{'n':>5}{'margin':>7}  " + " ".join(f"{n:<13}" for n in names))
        for line in self._lines:
            print(line)

    def cost(self, world: World, equal: Outcomes, worse: Outcomes) -> None:
        """Calls used, against tests that look once at a number of examples chosen before."""
        passed = equal.rate(Status.PASS)
        once = fixed_size(world, passes_at_once, passed.value, max(20, self._runs // 4))
        z = fixed_size(world, passes_z, passed.value, max(20, self._runs // 4))
        much_worse = simulate(self._pool, world, 4 * world.gate.margin, max(20, self._runs // 4))
        print(f"\nCalls (both arms) in the world {world.name!r}, {2 * world.size} possible")
        for name, calls, rate in (
            ("equal: passes", equal.calls, passed),
            ("worse by the margin: blocks or stays open", worse.calls, worse.rate(Status.PASS)),
            ("worse by 4 margins: blocks", much_worse.calls, much_worse.rate(Status.BLOCK)),
        ):
            verb = "passed" if "margin:" in name or "passes" in name else "blocked"
            print(f"  {name:<44}{calls:>8.0f} on average   {verb} {rate}")
        print(f"  the same test with one look of fixed size{2 * once:>11.0f}   same power")
        print(f"  a z-test with one look of fixed size{2 * z:>16.0f}   same power; see its errors")
        print(f"  ratio to the same test, to the z-test: {equal.calls / 2 / once:.2f}, ", end="")
        print(f"{equal.calls / 2 / z:.2f}")

    def power(self, world: World) -> None:
        """Whether what a verdict says about its power comes true."""
        power = stated_power(world, evaluations=9)
        print(f"\nStated power in the world {world.name!r}: {power}")
        runs = max(20, self._runs // 2)
        if power.needed is not None:
            wider = replace(world, gate=world.gate.model_copy(update={"first_look": 10**6}))
            found = simulate(self._pool, wider, 0.0, runs, power.needed).rate(Status.PASS)
            self._about(f"an equal candidate passes on {power.needed} examples", found)
        if power.detectable is not None:
            drop = power.detectable
            found = simulate(self._pool, world, drop, runs).rate(Status.BLOCK)
            self._about(f"a drop of {drop} is seen on {world.size} examples", found)

    def _about(self, what: str, rate: Rate) -> None:
        print(f"  {what}: stated 0.8, measured {rate}")
        low, high = POWER_RANGE
        if rate.value + 3 * rate.error < low or rate.value - 3 * rate.error > high:
            self.failures.append(f"{what}: {rate}, not about 0.8")

    def _at_most(self, what: str, rate: Rate, nominal: float) -> None:
        if rate.exceeds(nominal):
            self.failures.append(f"{what}: {rate}, more than {nominal:.2f}")


def main(argv: list[str] | None = None) -> int:
    """Run the study; 0 if every error is at most as frequent as stated."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="evaluations of each kind")
    parser.add_argument("--worlds", type=int, default=len(WORLDS), help="only the first so many")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--opponents", action="store_true", help="rules of other packages, too (installed once)"
    )
    arguments = parser.parse_args(argv)
    if arguments.opponents:
        client.install()
    began = time.monotonic()
    with ProcessPoolExecutor(arguments.processes) as pool:
        study = Study(pool, arguments.runs, "all" if arguments.opponents else "ours")
        print(
            f"{arguments.runs} evaluations a cell, each rate ± its Monte-Carlo standard error."
            " Errors may be at most 0.100.\n"
        )
        print(f"{'':<43}candidate = champion {'':<18}truly worse by the margin")
        print(
            f"{'world':<30}{'n':>5}{'margin':>7} {'passed':<12}{'inconclusive':<13}"
            f"{'blocked (err)':<14}{'passed (err)':<13}blocked"
        )
        for world in WORLDS[: arguments.worlds]:
            equal, worse = study.errors(world)
        study.beside()
        study.cost(world, equal, worse)
        study.power(WORLDS[4] if arguments.worlds > 4 else world)
    print(f"\n{time.monotonic() - began:.0f} s")
    for failure in study.failures:
        print(f"FAILED  {failure}")
    if not study.failures:
        print("Every error is at most as frequent as stated. (!: the z-test's is not.)")
    return 1 if study.failures else 0


if __name__ == "__main__":
    sys.exit(main())
