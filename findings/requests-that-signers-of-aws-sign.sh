#!/usr/bin/env bash
# Whether packages that sign requests for AWS sign a request of Bedrock as AWS's own SDK for Python does.
#
# Matters here: the id of a model has a colon, that of an inference profile is an ARN with colons and a stroke, and both
# stand in the path. A gateway that signs for a team gets 403 for one model and 200 for another.
#
# Guess: all agree on a path of plain words, on an order of query parameters and on a body with µ. One of the oldest
# (aws-requests-auth) encodes the path once instead of twice, so that every id with a colon is signed otherwise; the
# others sign as AWS does, ARNs included.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check botocore==1.43.106 requests==2.34.2 \
  requests-aws4auth==1.4.0 aws-requests-auth==0.4.3 httpx-auth-awssigv4==0.1.4 httpx==0.28.1 httpx-auth==0.23.1
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$work" \
  aws4@1.13.2 aws4fetch@1.0.20 @smithy/signature-v4@5.7.5 @aws-crypto/sha256-js@5.2.0 >"$work/npm"

cd "$work"
cat >requests.json <<'JSON'
[{"name": "plain path", "method": "POST", "path": "/v1/chat/completions", "query": "", "body": "{}"},
 {"name": "body with µ", "method": "POST", "path": "/v1/chat/completions", "query": "", "body": "{\"unit\": \"µF\"}"},
 {"name": "model id", "method": "POST", "path": "/model/amazon.nova-lite-v1:0/converse", "query": "", "body": "{}"},
 {"name": "model id, encoded", "method": "POST", "path": "/model/amazon.nova-lite-v1%3A0/converse", "query": "", "body": "{}"},
 {"name": "profile's ARN", "method": "POST", "path": "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fa1b2/converse", "query": "", "body": "{}"},
 {"name": "unsorted query", "method": "GET", "path": "/custom-models", "query": "sortBy=CreationTime&maxResults=10", "body": ""},
 {"name": "+ and space in query", "method": "GET", "path": "/custom-models", "query": "nameContains=a%2Bb%20c", "body": ""},
 {"name": "empty value in query", "method": "GET", "path": "/custom-models", "query": "nextToken=&maxResults=10", "body": ""}]
JSON
cat >sign.py <<'PY'
"""Print, for each request and signer, the headers that are sent: one JSON a line."""
import json
import sys

import httpx
import requests as requests_library
from aws_requests_auth.aws_auth import AWSRequestsAuth
from httpx_auth import AWS4Auth as HttpxAuth
from httpx_auth_awssigv4 import SigV4Auth
from requests_aws4auth import AWS4Auth

HOST, REGION, SERVICE = "bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1", "bedrock"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def by_requests(auth):
    def sign(request, url):
        made = requests_library.Request(
            request["method"], url, data=request["body"].encode(), headers={"Content-Type": "application/json"}
        )
        sent = requests_library.Session().prepare_request(made)
        sent = auth(sent)
        return sent.url, dict(sent.headers)

    return sign


def by_httpx(auth):
    def sign(request, url):
        made = httpx.Request(
            request["method"], url, content=request["body"].encode(), headers={"Content-Type": "application/json"}
        )
        sent = next(auth.sync_auth_flow(made))
        return f"https://{HOST}{sent.url.raw_path.decode()}", dict(sent.headers)

    return sign


SIGNERS = {
    "requests-aws4auth": by_requests(AWS4Auth(KEY, SECRET, REGION, SERVICE)),
    "aws-requests-auth": by_requests(AWSRequestsAuth(KEY, SECRET, HOST, REGION, SERVICE)),
    "httpx-auth": by_httpx(HttpxAuth(access_id=KEY, secret_key=SECRET, region=REGION, service=SERVICE)),
    "httpx-auth-awssigv4": by_httpx(SigV4Auth(access_key=KEY, secret_key=SECRET, service=SERVICE, region=REGION)),
}
for request in json.load(open("requests.json", encoding="utf-8")):
    query = f"?{request['query']}" if request["query"] else ""
    for name, sign in SIGNERS.items():
        try:
            url, headers = sign(request, f"https://{HOST}{request['path']}{query}")
        except Exception as error:
            print(json.dumps({"signer": name, "request": request["name"], "error": type(error).__name__ + str(error)}))
            continue
        headers = {key: value.decode() if isinstance(value, bytes) else value for key, value in headers.items()}
        print(json.dumps({"signer": name, "request": request["name"], "url": url, "headers": headers}))
PY
cat >sign.mjs <<'JS'
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { AwsClient } from "aws4fetch";

const require = createRequire(import.meta.url);
const aws4 = require("aws4");
const { SignatureV4 } = require("@smithy/signature-v4");
const { Sha256 } = require("@aws-crypto/sha256-js");

const HOST = "bedrock-runtime.eu-central-1.amazonaws.com";
const REGION = "eu-central-1";
const SERVICE = "bedrock";
const KEYS = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const HEADERS = { "Content-Type": "application/json" };

const SIGNERS = {
  aws4: (request, tail) => {
    const made = { host: HOST, service: SERVICE, region: REGION, method: request.method, path: request.path + tail };
    made.headers = { ...HEADERS };
    if (request.body) made.body = request.body;
    const sent = aws4.sign(made, KEYS);
    return { url: `https://${HOST}${sent.path}`, headers: sent.headers };
  },
  aws4fetch: async (request, tail) => {
    const client = new AwsClient({ ...KEYS, service: SERVICE, region: REGION });
    const made = { method: request.method, headers: HEADERS };
    if (request.body) made.body = request.body;
    const sent = await client.sign(`https://${HOST}${request.path}${tail}`, made);
    return { url: sent.url, headers: Object.fromEntries(sent.headers) };
  },
  "@smithy/signature-v4": async (request, tail) => {
    const signer = new SignatureV4({ credentials: KEYS, region: REGION, service: SERVICE, sha256: Sha256 });
    const query = Object.fromEntries(new URLSearchParams(request.query));
    const made = { method: request.method, protocol: "https:", hostname: HOST, path: request.path, query };
    made.headers = { host: HOST, ...HEADERS };
    if (request.body) made.body = request.body;
    const sent = await signer.sign(made);
    return { url: `https://${HOST}${request.path}${tail}`, headers: sent.headers };
  },
};
for (const request of JSON.parse(readFileSync("requests.json", "utf8"))) {
  for (const [signer, sign] of Object.entries(SIGNERS)) {
    const sent = await sign(request, request.query && `?${request.query}`);
    console.log(JSON.stringify({ signer, request: request.name, ...sent }));
  }
}
JS
cat >judge.py <<'PY'
"""Sign what was sent once more, as botocore does, with the same time and the same headers."""
import json
import re
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
BODIES = {each["name"]: each for each in json.load(open("requests.json", encoding="utf-8"))}
table = {}
for line in open("sent", encoding="utf-8"):
    sent = json.loads(line)
    row = table.setdefault(sent["signer"], {})
    if "error" in sent:
        row[sent["request"]] = sent["error"]
        continue
    headers = {name.lower(): value for name, value in sent["headers"].items()}
    said = dict(re.findall(r"(SignedHeaders|Signature)=([^, ]+)", headers["authorization"]))
    asked = BODIES[sent["request"]]
    signed = {name: headers.get(name, urlsplit(sent["url"]).netloc) for name in said["SignedHeaders"].split(";")}
    request = AWSRequest(asked["method"], sent["url"], headers=signed, data=asked["body"].encode())
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(KEYS, "bedrock", "eu-central-1")
    text = auth.string_to_sign(request, auth.canonical_request(request))
    same = auth.signature(text, request) == said["Signature"]
    row[sent["request"]] = "same" if same else "OTHER " + sent["url"].removeprefix("https://bedrock-runtime.eu-central-1.amazonaws.com")
for signer, row in table.items():
    print(signer)
    for name, result in row.items():
        print(f"  {name}: {result}")
PY
{ venv/bin/python sign.py; node sign.mjs; } >sent
venv/bin/python judge.py >seen
cat seen
