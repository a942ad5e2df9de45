#!/usr/bin/env bash
# Which tools see that a character is invisible: Unicode's assigned default-ignorable characters, counted.
#
# Matters here: a rule against hidden characters needs a property, and `isprintable`, a width of 0 or `\w` look
# like it.
#
# Guess: none of the 405 is printable by `str.isprintable`, all have the width 0, and `\w` matches none, in `re` and
# `regex` alike.
#
# Seen, 2026-11-27: 267 of them are printable for Python, all variation selectors included, the ones that can carry
# bytes as well; they may stand in an identifier, too. The width is 0 for all but two: a soft hyphen is 1 wide, and a
# Hangul filler 2. `\w` matches 4 in `re` and 269 in `regex`, for a joiner or a selector is part of a word there.
# Normalising (NFKC) removes none of them.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  regex==2026.11.19 rich==15.0.0 unicodedata2==18.0.0 wcwidth==0.9.4

"$work/venv/bin/python" - >"$work/seen" <<'PY'
import re
from importlib.metadata import version

import regex
import unicodedata2
import wcwidth
from rich.cells import cell_len

ignorable = regex.compile(r"\p{Default_Ignorable_Code_Point}")
every = (chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
found = [c for c in every if ignorable.match(c) and unicodedata2.category(c) != "Cn"]
tests = {
    "printable": str.isprintable,
    "in an identifier": lambda c: f"a{c}".isidentifier(),
    "white space": str.isspace,
    "width 0 in wcwidth": lambda c: wcwidth.wcwidth(c) == 0,
    "width 0 in rich": lambda c: cell_len(c) == 0,
    r"\w in re": lambda c: bool(re.match(r"\w", c)),
    r"\w in regex": lambda c: bool(regex.match(r"\w", c)),
    "removed by NFKC": lambda c: unicodedata2.normalize("NFKC", c) == "",
}
print(*(f"{name} {version(name)}" for name in ("regex", "rich", "unicodedata2", "wcwidth")))
print("assigned and default-ignorable:", len(found))
for name, test in tests.items():
    print(f"  {name}: {sum(map(test, found))}")
wide = [f"U+{ord(c):04X} is {wcwidth.wcwidth(c)} wide" for c in found if wcwidth.wcwidth(c)]
print(*wide, sep=", ")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
regex 2026.11.19 rich 15.0.0 unicodedata2 18.0.0 wcwidth 0.9.4
assigned and default-ignorable: 405
  printable: 267
  in an identifier: 267
  white space: 0
  width 0 in wcwidth: 403
  width 0 in rich: 403
  \w in re: 4
  \w in regex: 269
  removed by NFKC: 0
U+00AD is 1 wide, U+115F is 2 wide
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
