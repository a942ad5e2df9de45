"""`python -m benchmarks.eval`: every promise of the evaluation engine, measured on this machine."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.eval.faults import FaultPlan, fault_section
from benchmarks.eval.measuring import MeasurementError
from benchmarks.eval.printing import CHECK_HEADER, Check, machine, table
from benchmarks.eval.sections import SECTIONS, Plan
from benchmarks.results import Ratio, record


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0 if every promise is kept, 1 if one is missed, 2 if one has no number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.eval", description=__doc__)
    names = [*SECTIONS, "faults"]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="sections to run")
    parser.add_argument("--examples", type=int, default=2000, help="of a run (default 2000)")
    parser.add_argument("--many", type=int, default=100_000, help="of the memory run (100000)")
    parser.add_argument("--records", type=int, default=200_000, help="of the batch run (200000)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each runner (default 3)")
    arguments = parser.parse_args(argv)

    print(machine())
    checks: list[Check] = []
    unmeasured = False
    with tempfile.TemporaryDirectory(prefix="prompt-hub-bench-") as folder:
        plan = Plan(
            Path(folder),
            arguments.examples,
            arguments.many,
            arguments.repeats,
            arguments.records,
        )

        def faults(plan: Plan) -> list[Check]:
            return fault_section(FaultPlan(examples=plan.examples), plan.folder / "faults")

        sections: dict[str, Callable[[Plan], list[Check]]] = {**SECTIONS, "faults": faults}
        for name in arguments.only:
            print(f"\n## {name}\n", flush=True)
            try:
                checks += sections[name](plan)
            except MeasurementError as error:
                unmeasured = True
                print(f"benchmarks.eval {name}: NOT MEASURED: {error}", file=sys.stderr)
    if checks:
        print(f"\n## checks\n\n{table(CHECK_HEADER, [check.row for check in checks])}")
    if unmeasured:
        return 2
    whole = arguments == parser.parse_args([])
    if whole:
        record("eval", [_as_ratio(check) for check in checks])
    return 0 if all(check.kept for check in checks) else 1


def _as_ratio(check: Check) -> Ratio:
    most = check.at_most is not None
    limit = check.at_most if check.at_most is not None else check.at_least
    assert limit is not None
    unit = f", {check.unit}" if check.unit else ""
    return Ratio(
        name=f"{check.name}{unit}",
        value=check.found,
        limit=limit,
        at_most=most,
        measured=check.measured,
        beside=check.beside,
        runs=check.runs,
    )


if __name__ == "__main__":
    sys.exit(main())
