#!/usr/bin/env bash
# What clients of chat completions make of an outage that comes with HTTP 200.
#
# Matters here: aggregators and servers end an answer with finish_reason "error" or "abort", or with an error in the
# choice, once the status is sent. A client that hides this turns an outage into an answer, which is scored.
#
# Guess: openai refuses "error", whose type is a Literal of five words, and its parse() raises. mistralai, whose API
# has the word, tells it. litellm, made for many providers, hands it on.
#
# Seen, 2026-11-27: none of the three refuses a word. openai and mistralai hand every word on, also those that are
# none of theirs; openai's parse() gives None for an empty answer and an object for a whole one, and raises only for
# half an object. litellm says "stop" for "error" and "abort" alike, so behind it only the count of tokens tells an
# outage from an answer. An error in the choice is an untyped extra in openai, and gone in the other two.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
  openai==3.57.0 mistralai==3.7.0 litellm==1.110.2

LITELLM_LOCAL_MODEL_COST_MAP=True "$work/venv/bin/python" - >"$work/seen" 2>"$work/notes" <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import litellm
import openai
from mistralai.client import Mistral
from pydantic import BaseModel


class Part(BaseModel):
    part_class: str


WHOLE, HALF = '{"part_class": "diode"}', '{"part_cl'
CHOICES = {
    "error, empty": {"finish_reason": "error", "content": ""},
    "error, whole": {"finish_reason": "error", "content": WHOLE},
    "abort, half": {"finish_reason": "abort", "content": HALF},
    "an error in the choice": {
        "finish_reason": "stop",
        "content": "",
        "error": {"code": 502, "message": "upstream"},
    },
}
sent = b""


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *arguments):
        pass


def body(choice):
    message = {"role": "assistant", "content": choice["content"]}
    rest = {name: value for name, value in choice.items() if name != "content"}
    usage = {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}
    choices = [{"index": 0, "message": message, **rest}]
    head = {"id": "x", "object": "chat.completion", "created": 0, "model": "m"}
    return json.dumps({**head, "choices": choices, "usage": usage}).encode()


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_address[1]}"
asked = {"model": "m", "messages": [{"role": "user", "content": "Which class?"}]}
through_openai = openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0).chat.completions
through_mistral = Mistral(api_key="k", server_url=url).chat
litellm_asked = {**asked, "model": "openai/m", "api_base": f"{url}/v1", "api_key": "k"}
clients = {
    "openai": lambda: through_openai.create(**asked),
    "openai's parse": lambda: through_openai.parse(**asked, response_format=Part),
    "mistralai": lambda: through_mistral.complete(**asked),
    "litellm": lambda: litellm.completion(**litellm_asked, num_retries=0),
}
for name in ("openai", "mistralai", "litellm"):
    print(name, version(name))
for client, ask in clients.items():
    for case, choice in CHOICES.items():
        sent = body(choice)
        try:
            got = ask().choices[0]
        except ValueError:
            print(f"{client}, {case}: ValueError")
            continue
        said = [got.finish_reason, got.message.content]
        if client.endswith("parse"):
            said.append(got.message.parsed)
        extra = (getattr(got, "model_extra", None) or {}).get("error")
        print(f"{client}, {case}: {', '.join(map(repr, said))}; error: {extra}")
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
openai 3.57.0
mistralai 3.7.0
litellm 1.110.2
openai, error, empty: 'error', ''; error: None
openai, error, whole: 'error', '{"part_class": "diode"}'; error: None
openai, abort, half: 'abort', '{"part_cl'; error: None
openai, an error in the choice: 'stop', ''; error: {'code': 502, 'message': 'upstream'}
openai's parse, error, empty: 'error', '', None; error: None
openai's parse, error, whole: 'error', '{"part_class": "diode"}', Part(part_class='diode'); error: None
openai's parse, abort, half: ValueError
openai's parse, an error in the choice: 'stop', '', None; error: {'code': 502, 'message': 'upstream'}
mistralai, error, empty: 'error', ''; error: None
mistralai, error, whole: 'error', '{"part_class": "diode"}'; error: None
mistralai, abort, half: 'abort', '{"part_cl'; error: None
mistralai, an error in the choice: 'stop', ''; error: None
litellm, error, empty: 'stop', ''; error: None
litellm, error, whole: 'stop', '{"part_class": "diode"}'; error: None
litellm, abort, half: 'stop', '{"part_cl'; error: None
litellm, an error in the choice: 'stop', ''; error: None
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
