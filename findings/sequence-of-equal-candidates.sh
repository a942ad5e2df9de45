#!/usr/bin/env bash
# Whether a confidence sequence rules out a loss of the margin where two arms answered 48 examples alike.
#
# Matters here: a candidate that changes nothing is the commonest case of a gate, and its differences plus a
# margin are one constant. evalsig's sequence estimates the spread from the data, which is 0 then.
#
# Guess: evalsig's `sequential_gate` says the same at every margin: it stops at its least number of examples, 30,
# because an interval without width lies above 0.
#
# Seen, 2026-11-27: it depends on whether floats can write the margin. A spread of exactly 0 is taken for "no data",
# and the interval is infinite: at margins of 1/16, 1/8 and 1/4 equal candidates never pass. Thirty times 0.03, 0.05
# or 0.1 has a mean that is off by its rounding, so a spread of 1e-17, and they pass with an interval as narrow.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check evalsig==0.1.2 numpy==2.4.6 scipy==1.17.1 \
    pyarrow==26.0.1

"$work/venv/bin/python" - >"$work/seen" <<'PY'
from importlib.metadata import version

import numpy
from evalsig.inference.sequential import sequential_gate

print("evalsig", version("evalsig"))
for margin in (0.03, 0.05, 0.0625, 0.1, 0.125, 0.25):
    found = sequential_gate(numpy.zeros(48) + margin, alpha=0.1, alternative="greater")
    width = found.ci[1] - found.ci[0]
    kind = "infinite" if numpy.isinf(width) else "below 1e-15" if width < 1e-15 else f"{width}"
    print(f"  margin {margin}: passes {found.stopped}, after {found.n_pairs}, interval's width {kind}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
evalsig 0.1.2
  margin 0.03: passes True, after 30, interval's width below 1e-15
  margin 0.05: passes True, after 30, interval's width below 1e-15
  margin 0.0625: passes False, after 48, interval's width infinite
  margin 0.1: passes True, after 30, interval's width below 1e-15
  margin 0.125: passes False, after 48, interval's width infinite
  margin 0.25: passes False, after 48, interval's width infinite
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
