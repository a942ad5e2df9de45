#!/usr/bin/env bash
# What number readers take for groups of thousands, where the decimal mark is a comma.
#
# Matters here: `records.numbers` declares both marks for all files of a task, and one file of another country
# among them must be refused, not read a hundred times too large.
#
# Guess: a declared thousands mark is taken where it stands between groups of three digits. So `1.234` is 1234,
# and `0.25` and `1.23` are refused by pandas, DuckDB and babel in its strict way; babel reads them as 25 and 123
# otherwise, and price-parser as 0.25 and 1.23, for it looks at the number first.
#
# Seen, 2026-11-27: only babel's strict way looks at the groups. pandas, DuckDB, babel and price-parser take the mark
# out wherever it stands: `0.25` is 25 and `1.2.3,4` is 123.4 in all of them. `.5` is 5 in three, and in pandas 0.5
# by one engine and text by the other. `1,234.5`, over a thousand in other countries, is 1.2345 but for pandas, which
# leaves the column text.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  pandas==3.1.1 duckdb==2.0.1 babel==2.19.0 price-parser==0.5.1

cd "$work"
"$work/venv/bin/python" - >"$work/seen" <<'PY'
import io
from importlib.metadata import version
from pathlib import Path

import duckdb
import pandas
from babel.numbers import parse_decimal
from price_parser import Price

VALUES = ("1.234", "0.25", "1.23", "1.2.3,4", ".5", "1,234.5")


def show(parse, text):
    try:
        return f"{parse(text)}"
    except Exception as error:
        return type(error).__name__


def in_pandas(engine):
    def parse(text):
        table = io.StringIO(f"a;b\nx;{text}\n")
        read = pandas.read_csv(table, sep=";", decimal=",", thousands=".", engine=engine)
        value = read["b"].iloc[0]
        return repr(value) if isinstance(value, str) else float(value)

    return parse


def in_duckdb(text):
    Path("one.csv").write_text(f"a;b\nx;{text}\n")
    query = (
        "select b from read_csv('one.csv', delim=';', header=true, decimal_separator=',', thousands='.',"
        " columns={'a': 'VARCHAR', 'b': 'DOUBLE'})"
    )
    return duckdb.connect().execute(query).fetchall()[0][0]


parsers = {
    f"pandas {version('pandas')}, engine c": in_pandas("c"),
    f"pandas {version('pandas')}, engine python": in_pandas("python"),
    f"duckdb {version('duckdb')}": in_duckdb,
    f"babel {version('babel')}": lambda text: parse_decimal(text, locale="de"),
    f"babel {version('babel')}, strict": lambda text: parse_decimal(text, locale="de", strict=True),
    f"price-parser {version('price-parser')}": lambda text: Price.fromstring(text, decimal_separator=",").amount,
}
for name, parse in parsers.items():
    print(name)
    for text in VALUES:
        print(f"  {text}: {show(parse, text)}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
pandas 3.1.1, engine c
  1.234: 1234.0
  0.25: 25.0
  1.23: 123.0
  1.2.3,4: 123.4
  .5: '.5'
  1,234.5: '1,234.5'
pandas 3.1.1, engine python
  1.234: 1234.0
  0.25: 25.0
  1.23: 123.0
  1.2.3,4: 123.4
  .5: 0.5
  1,234.5: '1,234.5'
duckdb 2.0.1
  1.234: 1234.0
  0.25: 25.0
  1.23: 123.0
  1.2.3,4: 123.4
  .5: 5.0
  1,234.5: 1.2345
babel 2.19.0
  1.234: 1234
  0.25: 25
  1.23: 123
  1.2.3,4: 123.4
  .5: 5
  1,234.5: 1.2345
babel 2.19.0, strict
  1.234: 1234
  0.25: NumberFormatError
  1.23: NumberFormatError
  1.2.3,4: NumberFormatError
  .5: NumberFormatError
  1,234.5: NumberFormatError
price-parser 0.5.1
  1.234: 1234
  0.25: 25
  1.23: 123
  1.2.3,4: 123.4
  .5: 5
  1,234.5: 1.2345
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
