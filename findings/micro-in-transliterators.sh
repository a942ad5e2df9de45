#!/usr/bin/env bash
# What becomes of 4.7 microfarads where a text is written in ASCII.
#
# Matters here: there are two characters for micro (U+00B5 the sign, U+03BC the letter) and two for ohm (U+2126,
# U+03A9), and catalogues have all four. Whoever writes values in ASCII before they are compared or stored
# compares what these packages leave.
#
# Guess: Unidecode, text-unidecode, anyascii and python-slugify write both characters for micro as `u`, and both
# for ohm alike. None of them changes a quantity.
#
# Seen, 2026-11-27: the sign becomes `u` and the letter `m` in Unidecode, text-unidecode and anyascii, so that 4.7 µF
# typed on a Greek keyboard, or normalised by Unicode's NFKC before, is 4.7 mF, a thousand times as much. python-slugify
# normalises by itself and makes millifarads of both. The two characters for ohm differ, too: `ohm` (or nothing at all,
# in text-unidecode) and `O`. A ten to the third is 103 in all four.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  Unidecode==1.4.0 text-unidecode==1.3 anyascii==0.3.3 python-slugify==9.2.0

"$work/venv/bin/python" - >"$work/seen" <<'PY'
from importlib.metadata import version

from anyascii import anyascii
from slugify import slugify
from text_unidecode import unidecode as text_unidecode
from unidecode import unidecode

TEXTS = {
    "micro sign": "4.7 \u00b5F",
    "letter mu": "4.7 \u03bcF",
    "ohm sign": "10 \u2126",
    "letter omega": "10 \u03a9",
    "cube": "10\u00b3 V",
}
PACKAGES = {
    "Unidecode": unidecode,
    "text-unidecode": text_unidecode,
    "anyascii": anyascii,
    "python-slugify": slugify,
}
for name, write in PACKAGES.items():
    print(name, version(name))
    for what, text in TEXTS.items():
        print(f"  {what}: {write(text)!r}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
Unidecode 1.4.0
  micro sign: '4.7 uF'
  letter mu: '4.7 mF'
  ohm sign: '10 ohm'
  letter omega: '10 O'
  cube: '103 V'
text-unidecode 1.3
  micro sign: '4.7 uF'
  letter mu: '4.7 mF'
  ohm sign: '10 '
  letter omega: '10 O'
  cube: '103 V'
anyascii 0.3.3
  micro sign: '4.7 uF'
  letter mu: '4.7 mF'
  ohm sign: '10 Ohm'
  letter omega: '10 O'
  cube: '103 V'
python-slugify 9.2.0
  micro sign: '4-7-mf'
  letter mu: '4-7-mf'
  ohm sign: '10-o'
  letter omega: '10-o'
  cube: '103-v'
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
