#!/usr/bin/env bash
# What number parsers read in the values that electronic parts are labelled with.
#
# Matters here: a scorer that compares values as numbers is only as good as the parser before it.
#
# Guess: `10R` (ten ohms) and `4k7` (4.7 kilo-ohms) are refused by all three, since neither is a number
# with an SI prefix. `0.1µF` is 1e-07. Pint refuses `10k`.
#
# Seen, 2026-11-27: quantiphy and engineering-notation read the R of `10R` as ronna (10^27), so that ten ohms
# are 1e28. `4k7` is 4 of a unit called `k7` in quantiphy, and 4000 in engineering-notation. `0.1µF` is 1e-07
# in quantiphy, and 0.1 in engineering-notation, which says nothing of the µ that it leaves out. Pint reads
# `10R` as ten gas constants and `10k` as ten Boltzmann constants, and refuses `4k7`: the only refusal of twelve.
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

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
quantiphy 2.23
  10R: 1e+28
  4k7: 4.0
  0.1µF: 1e-07
  10k: 10000.0
engineering-notation 0.13.3
  10R: 1e+28
  4k7: 4000.0
  0.1µF: 0.1
  10k: 10000.0
pint 0.25.3
  10R: 10 molar_gas_constant
  4k7: UndefinedUnitError
  0.1µF: 0.1 microfarad
  10k: 10 boltzmann_constant
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
