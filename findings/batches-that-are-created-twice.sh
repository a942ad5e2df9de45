#!/usr/bin/env bash
# Whether OpenAI's SDK creates a batch twice when the answer to the first creation is lost.
#
# Matters here: a batch is paid for from its creation on. An SDK that tries again by itself pays for the same questions
# twice, and its caller knows of one batch alone.
#
# Guess: it tries again by default. Its code has idempotency keys, but names no header for them: none is sent, and the
# provider starts a second batch.
#
# Seen, 2026-11-28: it tries again, twice by default, and sends no key: three batches for one call of create(). Nothing
# in the requests tells the second from a new one but a header that counts the tries. With max_retries=0 there is one.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check openai==3.54.0

"$work/venv/bin/python" - >"$work/seen" <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import openai

created = []


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        created.append({name.lower(): value for name, value in self.headers.items()})
        body = b'{"error": {"message": "the answer was lost"}}'
        self.send_response(500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("openai", version("openai"))
for settings in ({}, {"max_retries": 0}):
    created.clear()
    client = openai.OpenAI(
        api_key="none", base_url=f"http://127.0.0.1:{server.server_address[1]}/v1", **settings
    )
    try:
        client.batches.create(
            input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
        )
    except openai.InternalServerError:
        pass
    names = set(created[0])
    keys = sorted(name for name in names if "idempot" in name)
    tries = [headers.get("x-stainless-retry-count") for headers in created]
    print(settings or "by default", "creations", len(created), "keys", keys, "tries", tries)
server.shutdown()
PY
cat "$work/seen"
diff - "$work/seen" <<'SEEN' || { echo "this has changed since it was seen" >&2; exit 1; }
openai 3.54.0
by default creations 3 keys [] tries ['0', '1', '2']
{'max_retries': 0} creations 1 keys [] tries ['0']
SEEN
