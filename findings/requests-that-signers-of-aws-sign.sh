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
