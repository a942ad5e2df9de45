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
servers=
trap 'for server in $servers; do kill "$server"; wait "$server" || true; done; rm -rf "$work"' EXIT
for name in moto ministack; do python3 -m venv "$work/$name"; done
"$work/moto/bin/pip" install --quiet --no-compile --disable-pip-version-check moto==5.2.5 boto3==1.43.106
"$work/ministack/bin/pip" install --quiet --no-compile --disable-pip-version-check ministack==1.5.33 boto3==1.43.106
npm install --silent --no-audit --no-fund --prefix "$work" s3rver@3.7.1 fauxqs@2.4.1 >"$work/npm"

cd "$work"
export AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER AWS_DEFAULT_REGION=eu-central-1
cat >put.py <<'PY'
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

WRONG = '"0123456789abcdef0123456789abcdef"'


def look():
    s3 = boto3.client("s3", config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))
    for bucket in ("plain", "versions"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def put(bucket, key, **more):
        s3.put_object(Bucket=bucket, Key=key, Body=b"second", **more)

    def parts(bucket, key, **more):
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"second")
        done = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=done, **more)

    def copy(bucket, key, **more):
        s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": "plain", "Key": "source"}, **more)

    def delete(bucket, key, **more):
        s3.delete_object(Bucket=bucket, Key=key, **more)

    s3.put_object(Bucket="plain", Key="source", Body=b"second")
    none, wrong = {"IfNoneMatch": "*"}, {"IfMatch": WRONG}
    for name, there, write, condition in (
        ("put, nothing there, If-None-Match", "nothing", put, none),
        ("put, first there, If-None-Match", "first", put, none),
        ("put over a delete marker, If-None-Match", "marker", put, none),
        ("put, If-Match of what is there", "first", put, None),
        ("put, If-Match of something else", "first", put, wrong),
        ("put, nothing there, If-Match", "nothing", put, wrong),
        ("parts, nothing there, If-None-Match", "nothing", parts, none),
        ("parts, first there, If-None-Match", "first", parts, none),
        ("parts, If-Match of something else", "first", parts, wrong),
        ("copy, first there, If-None-Match", "first", copy, none),
        ("delete, If-Match of something else", "first", delete, wrong),
    ):
        key = "-".join(name.replace(",", "").split())
        bucket = "versions" if there == "marker" else "plain"
        try:
            if there == "marker":
                s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            if there != "nothing":
                etag = s3.put_object(Bucket=bucket, Key=key, Body=b"first")["ETag"]
            if there == "marker":
                s3.delete_object(Bucket=bucket, Key=key)
            write(bucket, key, **(condition or {"IfMatch": etag}))
            answer = "done"
        except ClientError as error:
            answer = f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Code']}"
        try:
            left = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        except ClientError:
            left = "nothing"
        print(f"  {name}: {answer}, and {left} is there")
PY
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
await() {
  for _ in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>none; then return; fi
    sleep 0.2
  done
}
look() { AWS_ENDPOINT_URL=http://127.0.0.1:$1 moto/bin/python -c 'from put import look; look()'; }
mkdir data
stack=$(free)
GATEWAY_PORT=$stack DOCKER_HOST=unix://$work/none.sock ministack/bin/ministack >log-stack 2>&1 &
servers="$servers $!"
rver=$(free)
node_modules/.bin/s3rver --directory data --port "$rver" --address 127.0.0.1 >log-rver 2>&1 &
servers="$servers $!"
fauxqs=$(free)
FAUXQS_HOST=127.0.0.1 FAUXQS_PORT=$fauxqs node_modules/.bin/fauxqs >log-fauxqs 2>&1 &
servers="$servers $!"
{
  moto/bin/pip list | grep '^moto ' | tr --squeeze-repeats ' '
  moto/bin/python -c 'from moto import mock_aws; from put import look; mock_aws()(look)()'
  ministack/bin/pip list | grep '^ministack ' | tr --squeeze-repeats ' '
  await "$stack"; look "$stack"
  npm list --depth 0 | grep --only-matching 's3rver.*'
  await "$rver"; look "$rver"
  npm list --depth 0 | grep --only-matching 'fauxqs.*'
  await "$fauxqs"; look "$fauxqs"
} >seen
cat seen
