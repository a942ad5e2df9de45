#!/usr/bin/env bash
# What JSON readers make of a key given twice, and how deep valid JSON may nest for them.
#
# Matters here: whoever checks a document and whoever uses it may read it with two of these, and an answer that
# one of them cannot read must not end the run of the other.
#
# Guess: every reader takes the last of two values, and 500 levels of nesting.
#
# Seen, 2026-11-27: pysimdjson gives both: the value under the key is the first, the same document as a dict has
# the last, its length counts both. ijson yields both where the key is asked for, and the last in the whole
# object. Nobody else takes anything but the last, and nobody objects. Of the depths, jiter and pydantic-core
# (so pydantic's own `model_validate_json`) end at 201, json5 below 90, orjson, ujson and pysimdjson at 1024; the
# standard library ends where Python's own stack does.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  ijson==3.6.0 jiter==0.19.0 json5==0.17.3 msgspec==0.22.0 orjson==3.13.0 pydantic_core==2.50.5 \
  pysimdjson==7.0.2 ujson==6.1.0

"$work/venv/bin/python" - >"$work/seen" <<'PY'
import io
import json
from importlib.metadata import version

import ijson
import jiter
import json5
import msgspec
import orjson
import pydantic_core
import simdjson
import ujson

TWICE = b'{"a": 1, "b": 0, "a": 2}'
DEPTHS = (50, 90, 200, 201, 202, 500, 1024, 1025)
readers = {
    "ijson": lambda raw: next(ijson.items(io.BytesIO(raw), "")),
    "jiter": jiter.from_json,
    "json": json.loads,
    "json5": lambda raw: json5.loads(raw.decode()),
    "msgspec": msgspec.json.decode,
    "orjson": orjson.loads,
    "pydantic_core": pydantic_core.from_json,
    "pysimdjson": simdjson.loads,
    "ujson": ujson.loads,
}


def takes(read, depth):
    try:
        read(b"[" * depth + b"]" * depth)
    except Exception:
        return False
    return True


for name, read in readers.items():
    # The standard library's limit is the interpreter's and moves with it: between 500 and 1025.
    deepest = "the interpreter's" if name in {"json", "msgspec"} else max(
        depth for depth in DEPTHS if takes(read, depth)
    )
    print(name, "" if name == "json" else version(name), f"a = {read(TWICE)['a']}, deepest {deepest}")
document = simdjson.Parser().parse(TWICE)
print("pysimdjson by key:", document["a"], "as a dict:", document.as_dict()["a"], "length:", len(document))
print("ijson by key:", *ijson.items(io.BytesIO(TWICE), "a"))
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
ijson 3.6.0 a = 2, deepest 1025
jiter 0.19.0 a = 2, deepest 201
json  a = 2, deepest the interpreter's
json5 0.17.3 a = 2, deepest 50
msgspec 0.22.0 a = 2, deepest the interpreter's
orjson 3.13.0 a = 2, deepest 1024
pydantic_core 2.50.5 a = 2, deepest 201
pysimdjson 7.0.2 a = 2, deepest 1024
ujson 6.1.0 a = 2, deepest 1024
pysimdjson by key: 1 as a dict: 2 length: 3
ijson by key: 1 2
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
