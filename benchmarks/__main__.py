"""`python -m benchmarks`: run every benchmark of waiting times, then write docs/performance.md."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence

from benchmarks.performance_page import PAGE, write_page
from benchmarks.results import ROOT

BENCHMARKS: Mapping[str, Sequence[str]] = {
    "eval": ("benchmarks.eval",),
    "batch": ("benchmarks.batch",),
    "serve": ("benchmarks.serve",),
    "loader": ("benchmarks.loader",),
    "scale": ("benchmarks.scale",),
    "pages": ("benchmarks.pages",),
    "local": ("benchmarks.local",),
}
"""The modules that `make bench` runs, by the names of their results, in the order of the page."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run and write the page; 0 all is kept, 1 a promise is missed, 2 something has no number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = list(BENCHMARKS)
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="what to run")
    parser.add_argument("--page", action="store_true", help="write the page alone, run nothing")
    arguments = parser.parse_args(argv)
    codes: dict[str, int] = {}
    for name in [] if arguments.page else arguments.only:
        print(f"\n# {name}\n", flush=True)
        codes[name] = subprocess.run([sys.executable, "-m", *BENCHMARKS[name]], cwd=ROOT).returncode
    write_page(list(BENCHMARKS))
    print(f"\n{PAGE.relative_to(ROOT)} is written")
    for name, code in codes.items():
        if code:
            why = "a promise is missed" if code == 1 else "something could not be measured"
            print(f"bench: {name}: {why} (exit {code})", file=sys.stderr)
    return max((1 if code == 1 else 2 for code in codes.values() if code), default=0)


if __name__ == "__main__":
    sys.exit(main())
