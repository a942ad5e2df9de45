#!/usr/bin/env bash
# What packages of physical units read in units that data sheets print.
#
# Matters here: a reader of part values could stand on one of them, with corrections for codes such as 4k7. It would
# call right what the package reads on its own.
#
# Guess: Pint, astropy, unyt and quantities read 4.7 µF with either of the two characters for micro, and 10 kΩ with
# either of the two for ohm. They refuse what they do not know, and none reads another quantity than is meant.
#
# Seen, 2026-11-27: only astropy reads all four characters; Pint refuses the ohm sign (U+2126), unyt that and the micro
# sign (U+00B5), quantities whatever is not ASCII. Read as something else: a torque of 0.6 Nm is 600 m/kg in Pint, where
# Nm is a measure of yarn; a track of 10 mil is an angle there, and a length in unyt and quantities; a memory of 64 kB is
# 73,683 nepers in unyt, where B is the bel. 5 R is gas constants, a temperature (Rankine) or a dose (röntgen).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  pint==0.25.3 astropy==8.0.2 unyt==3.2.0 quantities==0.16.4

"$work/venv/bin/python" - >"$work/seen" <<'PY'
from importlib.metadata import version

import astropy.units
import pint
import quantities
import unyt

TEXTS = ("4.7 \u00b5F", "4.7 \u03bcF", "10 k\u2126", "10 k\u03a9", "0.6 Nm", "10 mil", "64 kB", "5 R")
registry = pint.UnitRegistry()


def by_quantities(text):
    number, _, unit = text.partition(" ")
    return (float(number) * quantities.unit_registry[unit]).simplified


def show(read, text):
    try:
        found = read(text)
    except Exception:
        return "refused"
    value = getattr(found, "magnitude", getattr(found, "value", found))
    return f"{float(value):.4g} {getattr(found, 'units', getattr(found, 'unit', ''))}"


PACKAGES = {
    "pint": lambda text: registry.Quantity(text).to_base_units(),
    "astropy": lambda text: astropy.units.Quantity(text).si,
    "unyt": lambda text: unyt.unyt_quantity.from_string(text).in_mks(),
    "quantities": by_quantities,
}
for name, read in PACKAGES.items():
    print(name, version(name))
    for text in TEXTS:
        signs = {"\u00b5": "[U+00B5]", "\u03bc": "[U+03BC]", "\u2126": "[U+2126]", "\u03a9": "[U+03A9]"}
        label = "".join(signs.get(character, character) for character in text)
        print(f"  {label}: {show(read, text)}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
pint 0.25.3
  4.7 [U+00B5]F: 4.7e-06 ampere ** 2 * second ** 4 / kilogram / meter ** 2
  4.7 [U+03BC]F: 4.7e-06 ampere ** 2 * second ** 4 / kilogram / meter ** 2
  10 k[U+2126]: refused
  10 k[U+03A9]: 1e+04 kilogram * meter ** 2 / ampere ** 2 / second ** 3
  0.6 Nm: 600 meter / kilogram
  10 mil: 0.0009817 radian
  64 kB: 5.12e+05 bit
  5 R: 41.57 kilogram * meter ** 2 / kelvin / mole / second ** 2
astropy 8.0.2
  4.7 [U+00B5]F: 4.7e-06 F
  4.7 [U+03BC]F: 4.7e-06 F
  10 k[U+2126]: 1e+04 Ohm
  10 k[U+03A9]: 1e+04 Ohm
  0.6 Nm: refused
  10 mil: refused
  64 kB: refused
  5 R: refused
unyt 3.2.0
  4.7 [U+00B5]F: refused
  4.7 [U+03BC]F: 4.7e-06 F
  10 k[U+2126]: refused
  10 k[U+03A9]: 1e+04 Ω
  0.6 Nm: refused
  10 mil: 0.000254 m
  64 kB: 7.368e+04 Np
  5 R: 2.778 K
quantities 0.16.4
  4.7 [U+00B5]F: refused
  4.7 [U+03BC]F: refused
  10 k[U+2126]: refused
  10 k[U+03A9]: refused
  0.6 Nm: refused
  10 mil: 0.000254 1.0 m
  64 kB: 5.12e+05 1.0 bit
  5 R: 0.00129 1.0 s*A/kg
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
