#!/usr/bin/env bash
# What number parsers read in the values that electronic parts are labelled with.
#
# Matters here: a scorer that compares values as numbers is only as good as the parser before it.
#
# Guess: `10R` (ten ohms) and `4k7` (4.7 kilo-ohms) are refused by all three, since neither is a number
# with an SI prefix. `0.1µF` is 1e-07. Pint refuses `10k`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  quantiphy==2.23 engineering-notation==0.13.3 pint==0.25.3

"$work/venv/bin/python" - >"$work/seen" <<'PY'
from importlib.metadata import version

import pint
import quantiphy
from engineering_notation import EngNumber

VALUES = ("10R", "4k7", "0.1µF", "10k")


def show(parse, text):
    try:
        found = parse(text)
    except Exception as error:
        return f"{type(error).__name__}"
    return f"{found}"


registry = pint.UnitRegistry()
parsers = {
    "quantiphy": lambda text: float(quantiphy.Quantity(text)),
    "engineering-notation": lambda text: float(EngNumber(text).number),
    "pint": lambda text: registry(text),
}
for name, parse in parsers.items():
    print(name, version(name))
    for text in VALUES:
        print(f"  {text}: {show(parse, text)}")
PY
cat "$work/seen"
