#!/usr/bin/env bash
# Which separator sniffers find in a table with semicolons whose cells have commas.
#
# Matters here: `prompt-hub run` could have let a sniffer find the separator of a file of records; it asks the
# header instead (docs/decisions/1409-what-a-table-proves.md).
#
# Guess: csv.Sniffer, clevercsv, pandas (sep=None) and DuckDB's sniffer all find the semicolon, however many rows
# there are: it divides every line into as many cells as the header has, and the comma does not.
#
# Seen, 2026-11-27: three of them do. DuckDB finds the comma for one row, and for two that happen to have three
# commas each: it leaves the header out as a line of rubbish, calls the columns column0 to column3, and splits the
# values at their decimal commas. A third row with a single comma, and it finds the semicolon.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check clevercsv==0.8.5 pandas==3.1.1 duckdb==2.0.1

cd "$work"
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import csv
import io
from importlib.metadata import version
from pathlib import Path

import clevercsv
import duckdb
import pandas

ROWS = (
    "RC0603FR-0710KL;Resistor 10k, 1 %, 0603;0,25",
    "C0603X7R104;Capacitor 0,1 µF, 50 V;0,31",
    "BAT54;Schottky diode 30 V;0,08",
)


def in_duckdb(text):
    Path("parts.csv").write_text(text, encoding="utf-8")
    query = "select Delimiter, SkipRows, [c.name for c in Columns] from sniff_csv('parts.csv')"
    mark, skipped, names = duckdb.connect().execute(query).fetchall()[0]
    return f"{mark!r}, {skipped} lines left out, columns {names}"


def in_pandas(text):
    names = list(pandas.read_csv(io.StringIO(text), sep=None, engine="python").columns)
    return f"columns {names}"


sniffers = {
    "csv.Sniffer": lambda text: repr(csv.Sniffer().sniff(text).delimiter),
    f"clevercsv {version('clevercsv')}": lambda text: repr(clevercsv.Sniffer().sniff(text).delimiter),
    f"pandas {version('pandas')}": in_pandas,
    f"duckdb {version('duckdb')}": in_duckdb,
}
for name, sniff in sniffers.items():
    print(name)
    for count in (1, 2, 3):
        table = "\n".join(("MPN;Description;Price", *ROWS[:count], ""))
        print(f"  {count}: {sniff(table)}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
csv.Sniffer
  1: ';'
  2: ';'
  3: ';'
clevercsv 0.8.5
  1: ';'
  2: ';'
  3: ';'
pandas 3.1.1
  1: columns ['MPN', 'Description', 'Price']
  2: columns ['MPN', 'Description', 'Price']
  3: columns ['MPN', 'Description', 'Price']
duckdb 2.0.1
  1: ',', 1 lines left out, columns ['column0', 'column1', 'column2', 'column3']
  2: ',', 1 lines left out, columns ['column0', 'column1', 'column2', 'column3']
  3: ';', 0 lines left out, columns ['MPN', 'Description', 'Price']
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
