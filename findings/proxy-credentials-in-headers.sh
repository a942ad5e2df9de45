#!/usr/bin/env bash
# How a client is told the credentials of its proxy, and whether the proxy hears of them.
#
# Matters here: a call to a model may have to go through a proxy that wants a name and a password. aiohttp says that
# `proxy_auth` will be removed and that `proxy_headers` with a Proxy-Authorization is what to write instead; may we?
#
# Guess: `proxy_headers` serve as the other ways do for an https target. For an http target they may not, which one of us
# had met in passing and not looked into; `proxy_auth` and all ways of httpx2 serve for both.
#
# Seen, 2026-11-27: so it is. aiohttp's `proxy_headers` go with the CONNECT for an https target, and nowhere for an http
# target, where the request itself goes to the proxy: it answers 407. Neither the request nor the notice that
# recommends them says so. The address of the proxy serves for both.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check aiohttp==3.14.5 httpx2==2.16.2

env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY -u no_proxy -u NO_PROXY -u all_proxy -u ALL_PROXY \
    "$work/venv/bin/python" -W ignore - >"$work/seen" <<'PY'
import asyncio
import base64
from importlib.metadata import version

import aiohttp
import httpx2

print(" ".join(f"{name} {version(name)}" for name in ("aiohttp", "httpx2")))
HEADER = {"Proxy-Authorization": "Basic " + base64.b64encode(b"name:word").decode()}
heard = []


async def proxy(reader, writer):
    """A proxy that notes what it is told and lets nobody through."""
    request, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    told = any(line.lower().startswith("proxy-authorization: basic") for line in headers)
    heard.append(f"{request.split()[0]} {'with' if told else 'without'} credentials")
    writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


async def by_aiohttp(target, **options):
    async with aiohttp.ClientSession() as session, session.get(target, **options):
        pass


async def by_httpx2(target, **options):
    async with httpx2.AsyncClient(proxy=httpx2.Proxy(**options)) as client:
        await client.get(target)


async def main():
    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    plain, full = f"http://{place}", f"http://name:word@{place}"
    ways = {
        "aiohttp, in the address": (by_aiohttp, {"proxy": full}),
        "aiohttp, proxy_auth": (by_aiohttp, {"proxy": plain, "proxy_auth": aiohttp.BasicAuth("name", "word")}),
        "aiohttp, proxy_headers": (by_aiohttp, {"proxy": plain, "proxy_headers": HEADER}),
        "httpx2, in the address": (by_httpx2, {"url": full}),
        "httpx2, auth": (by_httpx2, {"url": plain, "auth": ("name", "word")}),
        "httpx2, headers": (by_httpx2, {"url": plain, "headers": HEADER}),
    }
    for name, (ask, options) in ways.items():
        for scheme in ("http", "https"):
            heard.clear()
            try:
                await ask(f"{scheme}://target.invalid/", **options)
            except (aiohttp.ClientError, httpx2.HTTPError):
                pass  # refused, as it must be
            print(f"  {name}, to {scheme}: {'; '.join(heard)}")


asyncio.run(main())
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
aiohttp 3.14.5 httpx2 2.16.2
  aiohttp, in the address, to http: GET with credentials
  aiohttp, in the address, to https: CONNECT with credentials
  aiohttp, proxy_auth, to http: GET with credentials
  aiohttp, proxy_auth, to https: CONNECT with credentials
  aiohttp, proxy_headers, to http: GET without credentials
  aiohttp, proxy_headers, to https: CONNECT with credentials
  httpx2, in the address, to http: GET with credentials
  httpx2, in the address, to https: CONNECT with credentials
  httpx2, auth, to http: GET with credentials
  httpx2, auth, to https: CONNECT with credentials
  httpx2, headers, to http: GET with credentials
  httpx2, headers, to https: CONNECT with credentials
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
