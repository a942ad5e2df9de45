#!/usr/bin/env bash
# Whether the mean of scores that are all 0.7 reaches 0.7, by who takes the mean.
#
# Matters here: "the mean score is at least the threshold" is what a gate promises, and most candidates that miss by
# rounding miss in silence. Which mean is safe to compare?
#
# Guess: plain sums (sum/len, numpy, polars, DuckDB's avg) are a little below for some numbers of scores. Sums that
# carry their rounding along (fmean, DuckDB's favg, pandas' groupby) say 0.7 for every number.
#
# Seen, 2026-11-27: an exact sum is no help: it is the sum of what floats hold, three of which are 2.0999999999999996.
# So fmean and favg miss 0.7 for 3 and for 6 scores; the rounding of the plain sum of 6 happens to help. For 30, all
# but these two miss. Only statistics.mean, which divides before it rounds, is right everywhere.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pandas==3.1.1 polars==2.1.0 \
    duckdb==2.0.1

"$work/venv/bin/python" - >"$work/seen" <<'PY'
import sqlite3
import statistics
from importlib.metadata import version

import duckdb
import numpy
import pandas
import polars

print(" ".join(f"{name} {version(name)}" for name in ("numpy", "pandas", "polars", "duckdb")))
MEANS = {
    "sum/len": lambda v: sum(v) / len(v),
    "statistics.fmean": statistics.fmean,
    "statistics.mean": statistics.mean,
    "numpy": numpy.mean,
    "pandas groupby": lambda v: pandas.Series(v).groupby(numpy.zeros(len(v))).mean().iloc[0],
    "polars": lambda v: polars.Series(v).mean(),
    "duckdb avg": lambda v: duckdb.sql(f"select avg(x::double) from unnest({v}) t(x)").fetchall()[0][0],
    "duckdb favg": lambda v: duckdb.sql(f"select favg(x::double) from unnest({v}) t(x)").fetchall()[0][0],
}
NUMBERS = (3, 6, 7, 10, 30, 100)
for name, mean in MEANS.items():
    missed = [number for number in NUMBERS if mean([0.7] * number) < 0.7]
    print(f"  {name}: below 0.7 for {', '.join(map(str, missed)) or 'none'} of {NUMBERS}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
numpy 2.4.6 pandas 3.1.1 polars 2.1.0 duckdb 2.0.1
  sum/len: below 0.7 for 3, 30 of (3, 6, 7, 10, 30, 100)
  statistics.fmean: below 0.7 for 3, 6 of (3, 6, 7, 10, 30, 100)
  statistics.mean: below 0.7 for none of (3, 6, 7, 10, 30, 100)
  numpy: below 0.7 for 3, 30 of (3, 6, 7, 10, 30, 100)
  pandas groupby: below 0.7 for 3, 30 of (3, 6, 7, 10, 30, 100)
  polars: below 0.7 for 3, 30 of (3, 6, 7, 10, 30, 100)
  duckdb avg: below 0.7 for 3, 30 of (3, 6, 7, 10, 30, 100)
  duckdb favg: below 0.7 for 3, 6 of (3, 6, 7, 10, 30, 100)
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
