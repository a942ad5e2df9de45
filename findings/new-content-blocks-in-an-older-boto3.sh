#!/usr/bin/env bash
# What an older boto3 makes of a content block in Converse's answer that it does not know yet.
#
# Matters here: the API gets new kinds of blocks, and an image keeps its boto3. What is lost, and what raises,
# decides whether an answer is one.
#
# Guess: a member that the model does not have is left out, as unknown members of structures are everywhere else.
#
# Seen, 2026-11-27: a block of a new kind is a dict with the one key SDK_UNKNOWN_MEMBER, which holds its name and
# none of its content. A new member beside a known one, harmless in any structure, makes the whole answer
# unreadable, for blocks are a union. A stop reason that the model does not list passes as it is.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check botocore==1.43.106

"$work/venv/bin/python" - >"$work/seen" <<'PY'
import json
from importlib.metadata import version

import botocore.session
from botocore.parsers import ResponseParserError, create_parser

service = botocore.session.get_session().get_service_model("bedrock-runtime")
shape = service.operation_model("Converse").output_shape
parser = create_parser(service.metadata["protocol"])


def read(*blocks, stop="end_turn", **more):
    body = {
        "output": {"message": {"role": "assistant", "content": list(blocks)}},
        "stopReason": stop,
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        **more,
    }
    answer = {"status_code": 200, "headers": {}, "body": json.dumps(body).encode()}
    try:
        found = parser.parse(answer, shape)
    except ResponseParserError as error:
        return f"ResponseParserError: {error}"
    kept = sorted(set(found) & {"news"})
    return f"{found['output']['message']['content']}, {found['stopReason']}, {kept}"


print("botocore", version("botocore"))
print("new member of a structure:", read({"text": "a"}, news=1))
print("new kind of block:", read({"text": "a"}, {"verdict": {"text": "b"}}))
print("new member of a block:", read({"text": "a", "verdict": {"text": "b"}}))
print("new stop reason:", read({"text": "a"}, stop="verdict"))
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
botocore 1.43.106
new member of a structure: [{'text': 'a'}], end_turn, []
new kind of block: [{'text': 'a'}, {'SDK_UNKNOWN_MEMBER': {'name': 'verdict'}}], end_turn, []
new member of a block: ResponseParserError: Invalid service response: ContentBlock must have one and only one member set.
new stop reason: [{'text': 'a'}], verdict, []
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
