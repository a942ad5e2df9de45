#!/usr/bin/env bash
# Which conditional writes emulators of S3 keep: If-None-Match and If-Match on objects, uploads in parts, copies, deletes.
#
# Matters here: a shard's result is final because it is put only if nothing is there. Two writers that both succeed in
# an emulator, or one that is refused without need, say nothing of S3.
#
# Guess: all four refuse a second put with If-None-Match: * (412), and take one where the newest version is a delete
# marker. Three of them refuse the completion of an upload in parts in the same way; s3rver, the oldest, knows no
# condition on writes at all. If-Match with the right ETag is taken, with a wrong one refused, where nothing is there
# 404. A copy with If-None-Match is refused by two. A delete with a wrong If-Match is refused by one or two.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in moto ministack localstack; do python3 -m venv "$work/$name"; done
"$work/moto/bin/pip" install --quiet --no-compile --disable-pip-version-check moto==5.2.5 boto3==1.43.106
