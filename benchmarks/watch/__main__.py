"""`python -m benchmarks.watch`: false rollbacks and seconds to a right one (docs/watch.md).

Rounds are drawn in worlds where the truth is known; the product's detector decides, beside rules
that count bad rounds. Ends with 1 if a healthy version is rolled back more often than stated,
beyond three Monte-Carlo standard errors, or a total failure takes more than one run. Comparisons of
contracts, which live calls ask for, have a tenth of what is stated.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from statistics import fmean, stdev

if __name__ == "__main__":  # from a checkout, whatever is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "pipeline_image"))

from benchmarks.watch import contracts
from benchmarks.watch.rules import RULES, rule
from benchmarks.watch.scenarios import FALLING, HEALTHY, SIZE, World, right_answers

RUNS_A_DAY = 96
MONTH = 30 * RUNS_A_DAY
STATED = 0.01
"""False rollbacks a task-month, at most."""
RUN_SECONDS = 900
ROUND_SECONDS = 20
"""One round of 48 calls, assumed."""
GOOD_RUNS = 20
LONGEST = 5000
"""Runs after which a fall counts as never seen."""

Cell = tuple[float, float, float]
"""Value, its Monte-Carlo standard error, calls a day."""


def first_round(world: World, random: Random, name: str, chances: tuple[float, ...]) -> int:
    """Draw the right answers of a first round; only the detector may ask a part."""
    if name == "detector" and world.part < 1:
        chances = tuple(random.sample(chances, math.ceil(world.part * SIZE)))
    return sum(right_answers(random, chances))


def false_rollbacks(world: World, months: int, name: str) -> Cell:
    """Share of task-months with a rollback, and calls a day."""
    random = Random(f"{world.name}:{name}")
    decider = rule(name, world, random)
    hit, calls, runs = 0, 0, 0
    for _ in range(months):
        # The detector goes on from month to month: so it has all the capital that it can have.
        for _ in range(MONTH):
            rolled_back, _, asked = decider.run(
                first_round(world, random, name, world.active), world.active
            )
            calls += asked
            runs += 1
            if rolled_back:
                hit += 1
                decider = rule(name, world, random)
                break
    share = (hit + 0.5) / (months + 1)
    return hit / months, math.sqrt(share * (1 - share) / months), calls / runs * RUNS_A_DAY


def seconds_to_rollback(world: World, trials: int, name: str) -> Cell:
    """Mean seconds from the first bad round to the rollback, and calls until then."""
    random = Random(f"{world.name}:{name}")
    seconds, used = [], []
    for _ in range(trials):
        decider = rule(name, world, random)
        for _ in range(GOOD_RUNS):
            # A rule that has erred already has nothing to detect any more: it begins anew.
            if decider.run(first_round(world, random, name, world.active), world.active)[0]:
                decider = rule(name, world, random)
        calls = 0
        for run in range(LONGEST):
            chances = world.chances(run)
            rolled_back, rounds, asked = decider.run(
                first_round(world, random, name, chances), chances
            )
            calls += asked
            if rolled_back:
                break
        seconds.append(run * RUN_SECONDS + rounds * ROUND_SECONDS)
        used.append(calls)
    return fmean(seconds), stdev(seconds) / math.sqrt(trials), fmean(used)


def _study_contracts(pool: ProcessPoolExecutor, months: int, trials: int) -> list[str]:
    """Print what comparisons of contracts come to; return the promises that are broken."""
    failures = []
    print(f"\nFalse rollbacks a task-month by contracts ({months} task-months)\n")
    print("| world | comparisons |\n|---|---|")
    found = pool.map(partial(contracts.false_rollbacks, months), contracts.ALIKE)
    for world, (value, error) in zip(contracts.ALIKE, found, strict=True):
        print(f"| {world.name} | {value:.4f} ± {error:.4f} |", flush=True)
        if value - contracts.STATED > 3 * error:
            failures.append(f"{world.name}: {value:.4f} false rollbacks a task-month")
    print(f"\nComparisons until the rollback ({trials} each)\n")
    print("| world | comparisons | calls till then |\n|---|---|---|")
    taken = pool.map(partial(contracts.comparisons_to_rollback, trials), contracts.WORSE)
    for world, (value, error, calls) in zip(contracts.WORSE, taken, strict=True):
        print(f"| {world.name} | {value:.1f} ± {error:.1f} | {calls:,.0f} |", flush=True)
        if world is contracts.WORSE[-1] and value > 1:
            failures.append(f"{world.name}: not seen in one comparison")
    return failures


def main(argv: list[str] | None = None) -> int:
    """Run the study; 0 if every promise is kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watch", description=__doc__)
    parser.add_argument("--months", type=int, default=100, help="task-months of each kind")
    parser.add_argument("--trials", type=int, default=100, help="falls of each kind")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args(argv)
    began = time.monotonic()
    failures: list[str] = []
    header = "| " + " | ".join(["world", *RULES, "calls a day, 1 of 1", "calls a day, detector"])
    with ProcessPoolExecutor(arguments.processes) as pool:
        print(f"False rollbacks a task-month ({arguments.months} task-months a cell)\n\n{header} |")
        print("|---" * (len(RULES) + 3) + "|")
        for world in HEALTHY:
            cells = list(pool.map(partial(false_rollbacks, world, arguments.months), RULES))
            shown = [f"{value:.3f} ± {error:.3f}" for value, error, _ in cells]
            calls = [f"{cells[0][2]:,.0f}", f"{cells[-1][2]:,.0f}"]
            print(f"| {' | '.join([world.name, *shown, *calls])} |", flush=True)
            value, error, _ = cells[-1]
            if value - STATED > 3 * error:
                failures.append(f"{world.name}: {value:.3f} false rollbacks a task-month")
        header = header.replace("calls a day", "calls till then")
        print(f"\nSeconds from the first bad round ({arguments.trials} falls a cell)\n\n{header} |")
        print("|---" * (len(RULES) + 3) + "|")
        for world in FALLING:
            cells = list(pool.map(partial(seconds_to_rollback, world, arguments.trials), RULES))
            shown = [f"{value:,.0f} ± {error:,.0f}" for value, error, _ in cells]
            calls = [f"{cells[0][2]:,.0f}", f"{cells[-1][2]:,.0f}"]
            print(f"| {' | '.join([world.name, *shown, *calls])} |", flush=True)
            if world.name.startswith("total failure") and cells[-1][0] >= RUN_SECONDS:
                failures.append(f"{world.name}: not seen in one run")
        failures += _study_contracts(pool, arguments.months, arguments.trials)
    print(f"\n{time.monotonic() - began:.0f} s")
    for failure in failures:
        print(f"FAILED  {failure}")
    if not failures:
        print("Every promise is kept.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
