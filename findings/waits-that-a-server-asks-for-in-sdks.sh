#!/usr/bin/env bash
# What the SDKs of models do with `Retry-After: 20`, `90` and `300` of a server that answers 429.
#
# Matters here: a provider that asks for five minutes is asked at once by one SDK and holds a thread for as long in
# another. Our client has every SDK ask once, and reads the header itself, so that its budget and its deadline hold.
#
# Guess: those of one generator (all but cohere and mistralai) are alike: up to a minute they wait as asked, and for
# more they ask anew after half a second. mistralai and cohere wait for as long as is said, within their own limits.
#
# Seen, 2026-11-28: 20 seconds are 20 seconds in all. For 300 there are four answers, three of them from one generator:
# openai gives up, anthropic waits, and groq, cerebras and writer ask at once. cohere waits for a minute and asks.
# mistralai waits for 300 where it may retry for no longer than 60 in all. No timeout of 10 seconds ends a wait.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check openai==3.57.0 anthropic==2.14.0 \
  groq==1.7.0 cerebras-cloud-sdk==1.91.0 writer-sdk==3.0.0 mistralai==3.7.0 cohere==7.3.1

cat >"$work/ask.py" <<'PY'
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

waits: list[float] = []
time.sleep = waits.append  # nobody waits here: what would have been waited is looked at

import anthropic
import cohere
import groq
import openai
import writerai
from cerebras.cloud.sdk import Cerebras
from mistralai.client import Mistral
from mistralai.client.utils import BackoffStrategy, RetryConfig


class Busy(BaseHTTPRequestHandler):
    asked_for, requests = 0, 0

    def do_POST(self) -> None:
        """Ask for a wait, and end the experiment at the second request with another error."""
        self.rfile.read(int(self.headers["content-length"]))
        Busy.requests += 1
        self.send_response(429 if Busy.requests == 1 else 400)
        self.send_header("retry-after", str(Busy.asked_for))
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None: ...


server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
ask = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
common = {"api_key": "k", "base_url": url, "timeout": 10, "max_retries": 1}
minute = RetryConfig("backoff", BackoffStrategy(500, 10_000, 1.5, max_elapsed_time=60_000), True)
calls = {
    "openai": lambda: openai.OpenAI(**common).chat.completions.create(**ask),
    "anthropic": lambda: anthropic.Anthropic(**common).messages.create(max_tokens=9, **ask),
    "groq": lambda: groq.Groq(**common).chat.completions.create(**ask),
    "cerebras-cloud-sdk": lambda: Cerebras(warm_tcp_connection=False, **common).chat.completions.create(**ask),
    "writer-sdk": lambda: writerai.Writer(**common).chat.chat(**ask),
    "mistralai": lambda: Mistral(
        api_key="k", server_url=url, timeout_ms=10_000, retry_config=minute
    ).chat.complete(**ask),
    "cohere": lambda: cohere.ClientV2("k", base_url=url, timeout=10).chat(
        **ask, request_options={"max_retries": 1}
    ),
}
for package, call in calls.items():
    seen = []
    for Busy.asked_for in (20, 90, 300):
        Busy.requests = 0
        waits.clear()
        try:
            call()
        except Exception:
            pass
        waited = "waits less than 3" if sum(waits) < 3 else f"waits {sum(waits):.0f}"
        seen.append(f"{Busy.asked_for}: {waited if Busy.requests > 1 else 'gives up'}")
    print(f"{package} {version(package)}: {', '.join(seen)}")
PY
"$work/venv/bin/python" "$work/ask.py" >"$work/seen" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
openai 3.57.0: 20: waits 20, 90: waits 90, 300: gives up
anthropic 2.14.0: 20: waits 20, 90: waits 90, 300: waits 300
groq 1.7.0: 20: waits 20, 90: waits less than 3, 300: waits less than 3
cerebras-cloud-sdk 1.91.0: 20: waits 20, 90: waits less than 3, 300: waits less than 3
writer-sdk 3.0.0: 20: waits 20, 90: waits less than 3, 300: waits less than 3
mistralai 3.7.0: 20: waits 20, 90: waits 90, 300: waits 300
cohere 7.3.1: 20: waits 20, 90: waits 60, 300: waits 60
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
