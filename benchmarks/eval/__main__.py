"""`python -m benchmarks.eval`: every promise of the evaluation engine, measured on this machine."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.eval.faults import FaultPlan, fault_section
from benchmarks.eval.measuring import MeasurementError
from benchmarks.eval.printing import machine
from benchmarks.eval.sections import SECTIONS, Plan
from benchmarks.results import Ratio, ratio_table, record


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0 if every promise is kept, 1 if one is missed, 2 if one has no number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.eval", description=__doc__)
    names = [*SECTIONS, "faults"]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="sections to run")
    parser.add_argument("--examples", type=int, default=2000, help="of a run (default 2000)")
    parser.add_argument("--many", type=int, default=100_000, help="of the memory run (100000)")
    parser.add_argument("--most", type=int, default=1_000_000, help="of the larger one (1000000)")
    parser.add_argument("--both", type=int, default=200_000, help="with a champion (200000)")
    parser.add_argument("--records", type=int, default=200_000, help="of the batch run (200000)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each runner (default 5)")
    arguments = parser.parse_args(argv)

    print(machine())
    ratios: list[Ratio] = []
    unmeasured = False
    with tempfile.TemporaryDirectory(prefix="prompt-hub-bench-") as folder:
        plan = Plan(
            Path(folder),
            arguments.examples,
            arguments.many,
            arguments.repeats,
            arguments.records,
            arguments.most,
            arguments.both,
        )

        def faults(plan: Plan) -> list[Ratio]:
            return fault_section(FaultPlan(examples=plan.examples), plan.folder / "faults")

        sections: dict[str, Callable[[Plan], list[Ratio]]] = {**SECTIONS, "faults": faults}
        for name in arguments.only:
            print(f"\n## {name}\n", flush=True)
            try:
                ratios += sections[name](plan)
            except MeasurementError as error:
                unmeasured = True
                print(f"benchmarks.eval {name}: NOT MEASURED: {error}", file=sys.stderr)
    if ratios:
        print(f"\n## checks\n\n{ratio_table(ratios)}")
    if ratios and arguments == parser.parse_args([]):
        # What is measured is kept, whatever was not.
        record("eval", ratios)
    if unmeasured:
        return 2
    return 0 if all(ratio.kept for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
