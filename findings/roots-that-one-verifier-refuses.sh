#!/usr/bin/env bash
# Which certificates of a house of one's own OpenSSL and rustls take for a root.
#
# Matters here: models in a house of one's own are reached by TLS with what their owner has made by hand and put into
# SSL_CERT_FILE. A client on rustls would import ten times as fast as aiohttp; may one stand in for the other? And does
# the same file serve on a laptop and in an image with a newer Python, whose contexts are stricter?
#
# Guess: rustls refuses a server's certificate that is its own root, and perhaps a root of X.509 version 1. OpenSSL takes
# all of them; as Python 3.13 asks it, perhaps not the server's own certificate.
#
# Seen, 2026-11-27: of five ways to be trusted one serves everywhere, and each verifier refuses what the two others take.
# rustls refuses the server that is its own root, and takes version 1. OpenSSL refuses an issuer that is trusted without
# its own issuer. As Python 3.13 asks it, it takes both, and refuses a root without a key usage, which is what
# `openssl req -x509` writes, and one of version 1.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check aiohttp==3.14.5 pyreqwest==0.15.1
cd "$work"

make_key() { openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$2" 2>>openssl.log; }
make_root() {  # name, key usage
  openssl req -x509 -new -key "$1.key" -out "$1.pem" -days 30 -subj "/CN=$1" ${2:+-addext "keyUsage=critical,$2"} \
    ${3:+-addext "subjectAltName=$3"} 2>>openssl.log
}
sign() {  # name, issuer, extensions
  printf '%b' "$3\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer\n" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial 7 -days 30 -extfile "$1.ext" \
    -out "$1.pem" 2>>openssl.log
}
for name in tidy plain own old middle; do make_key "$name" "$name"; done
for name in by-tidy by-plain by-old by-middle; do make_key "$name" localhost; done
make_root tidy keyCertSign
make_root plain ""
make_root own digitalSignature,keyCertSign DNS:localhost
openssl x509 -req -in old.csr -signkey old.key -days 30 -out old.pem 2>>openssl.log
sign middle tidy 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign'
for issuer in tidy plain old middle; do sign "by-$issuer" "$issuer" 'subjectAltName=DNS:localhost'; done

# No proxy, and no other roots than those that are given.
env -i PATH="$PATH" SSL_CERT_FILE="$work/unused.pem" "$work/venv/bin/python" - >"$work/seen" <<'PY'
import asyncio
import os
import ssl
from importlib.metadata import version
from pathlib import Path

import aiohttp
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import ConnectError

print(" ".join(f"{name} {version(name)}" for name in ("aiohttp", "pyreqwest")))
AS_3_12 = ssl.VERIFY_X509_TRUSTED_FIRST
AS_3_13 = AS_3_12 | ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
TRUSTED = {
    "a root with a key usage": ("tidy", "by-tidy"),
    "a root without one": ("plain", "by-plain"),
    "a root of version 1": ("old", "by-old"),
    "an issuer without its issuer": ("middle", "by-middle"),
    "the server's own certificate": ("own", "own"),
}


async def answer(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


async def by_openssl(url, root, flags):
    context = ssl.create_default_context(cafile=f"{root}.pem")
    context.verify_flags = flags
    try:
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
            return "taken" if response.status == 204 else "?"
    except aiohttp.ClientConnectorCertificateError as error:
        return f"refused ({error.certificate_error.verify_message})"


async def by_rustls(url, root):
    async with ClientBuilder().add_root_certificate_pem(Path(f"{root}.pem").read_bytes()).build() as client:
        try:
            response = await client.get(url).build().send()
            return "taken" if response.status == 204 else "?"
        except ConnectError as error:
            return f"refused ({error.details['causes'][-1]['message'].rpartition(': ')[2]})"


async def main():
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # servers that were refused
    for what, (root, leaf) in TRUSTED.items():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{leaf}.pem", f"{leaf}.key")
        server = await asyncio.start_server(answer, "localhost", 0, family=2, ssl=context)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        print(f"  {what}")
        print(f"    OpenSSL, as Python 3.12: {await by_openssl(url, root, AS_3_12)}")
        print(f"    OpenSSL, as Python 3.13: {await by_openssl(url, root, AS_3_13)}")
        print(f"    rustls: {await by_rustls(url, root)}", flush=True)
        server.close()


asyncio.run(main())
os._exit(0)  # the threads of the client are still about
PY
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
aiohttp 3.14.5 pyreqwest 0.15.1
  a root with a key usage
    OpenSSL, as Python 3.12: taken
    OpenSSL, as Python 3.13: taken
    rustls: taken
  a root without one
    OpenSSL, as Python 3.12: taken
    OpenSSL, as Python 3.13: refused (CA cert does not include key usage extension)
    rustls: taken
  a root of version 1
    OpenSSL, as Python 3.12: taken
    OpenSSL, as Python 3.13: refused (Missing Authority Key Identifier)
    rustls: taken
  an issuer without its issuer
    OpenSSL, as Python 3.12: refused (unable to get issuer certificate)
    OpenSSL, as Python 3.13: taken
    rustls: taken
  the server's own certificate
    OpenSSL, as Python 3.12: taken
    OpenSSL, as Python 3.13: taken
    rustls: refused (Other(OtherError(CaUsedAsEndEntity)))
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
