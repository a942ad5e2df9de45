"""`docker`, as the build actions find it on their path.

It does what our image action needs, and says that it is no engine: `build` keeps a copy of the
context under `state/images/<repository>/<tag>/tree`, from which the task definition's command can
run as a process, with the venv of the build that made it; `push` registers the image in the local
ECR without any layer. Nothing else of `docker` is imitated, and a real engine is left alone even
where there is one: what a local run shows must not depend on it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from local_aws import compiled_modules
from local_aws.build_environments import NOT_SOURCE
from local_aws.globs import GlobError, compile_glob, glob_matches

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


class RefusedError(Exception):
    """Something that needs a Docker engine, or is wrong; says what."""


def main(arguments: Sequence[str]) -> int:
    """Run one docker command; returns its exit code."""
    commands: dict[str, Callable[[Sequence[str]], None]] = {
        "login": _login,
        "build": _build,
        "push": _push,
    }
    command = arguments[0] if arguments else ""
    try:
        if command not in commands:
            raise RefusedError(f"`docker {' '.join(arguments)}` needs a Docker engine")
        commands[command](arguments[1:])
    except RefusedError as error:
        print(f"docker (local AWS): {error}", file=sys.stderr)
        return 125
    return 0


def _login(words: Sequence[str]) -> None:
    if "--password-stdin" not in words:
        raise RefusedError("a password belongs on standard input: --password-stdin")
    sys.stdin.read()
    _say("no login is needed, the registry is the local AWS")


def _build(words: Sequence[str]) -> None:
    _keep(words)
    _say("the Dockerfile was not run")


def _push(words: Sequence[str]) -> None:
    import boto3

    if len(words) != 1:
        raise RefusedError("push takes one image: docker push URI:TAG")
    folder = _image_folder(words[0])
    if not (folder / "image.json").exists():
        raise RefusedError(f"{words[0]} has not been built here")
    image = json.loads((folder / "image.json").read_text(encoding="utf-8"))
    config = {"digest": image["digest"], "size": 0, "mediaType": MANIFEST_TYPE}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config,
        "layers": [],
        "annotations": {"local-aws.stand-in": folder.name},
    }
    boto3.client("ecr").put_image(
        repositoryName=image["repository"],
        imageManifest=json.dumps(manifest),
        imageManifestMediaType=MANIFEST_TYPE,
        imageTag=image["tag"],
    )
    _say(f"registered {image['repository']}:{image['tag']} in the local ECR")


def _say(line: str) -> None:
    print(f"docker (local AWS stand-in, not an engine): {line}", flush=True)


# --- The tree that is kept ---------------------------------------------------------------------


def _keep(words: Sequence[str]) -> None:
    """Copy the context of `docker build WORDS`, and note what it is in `image.json`."""
    parser = argparse.ArgumentParser(prog="docker build", allow_abbrev=False)
    parser.add_argument("--tag", "-t", required=True)
    parser.add_argument("--file", "-f", type=Path)
    parser.add_argument("--build-arg", action="append", default=[])
    namespace, _ = parser.parse_known_args(words[:-1])
    context = Path(words[-1])
    dockerfile = namespace.file or context / "Dockerfile"
    if not dockerfile.is_file():
        raise RefusedError(f"there is no {dockerfile}")
    folder = _image_folder(namespace.tag)
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(context, fresh / "tree", symlinks=True, ignore=_ignore(context))
    _install_scripts(fresh / "tree", fresh / "bin")
    image = {
        "repository": folder.parent.relative_to(_images()).as_posix(),
        "tag": folder.name,
        "tree": str(folder / "tree"),
        "scripts": str(folder / "bin"),
        "command": _command(dockerfile),
        "environment": os.environ["LOCAL_AWS_ENVIRONMENT"],
        "build_args": dict(item.split("=", 1) for item in namespace.build_arg),
        "digest": _digest(fresh / "tree"),
    }
    # A real image has its modules compiled: docker's own build does that.
    compiled_modules.lend(_images().parent / "compiled", fresh / "tree" / "pipeline_image")
    (fresh / "image.json").write_text(json.dumps(image, indent=2), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    print(f"docker (local AWS): kept {context.resolve()} as {image['repository']}:{image['tag']}")


def _install_scripts(tree: Path, folder: Path) -> None:
    """Launchers of the commands that the tree's package declares, as installing it would make."""
    folder.mkdir()
    project = tree / "pyproject.toml"
    if not project.is_file():
        return
    declared = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
    for name, target in declared.get("scripts", {}).items():
        module, _, function = target.partition(":")
        code = f"import sys; from {module} import {function}; sys.exit({function}())"
        (folder / name).write_text(f"#!/bin/sh\nexec python -c '{code}' \"$@\"\n", encoding="utf-8")
        (folder / name).chmod(0o755)


def _command(dockerfile: Path) -> list[str]:
    """Return what the image runs by default: the Dockerfile's last `CMD ["…"]`."""
    found = re.findall(r"^CMD\s+(\[.*\])", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    return list(map(str, json.loads(found[-1]))) if found else []


def _images() -> Path:
    return Path(os.environ["LOCAL_AWS_IMAGES"])


def _image_folder(name: str) -> Path:
    """Where the image `[REGISTRY/]REPOSITORY:TAG` is kept."""
    repository, _, tag = name.rpartition(":")
    host, slash, rest = repository.partition("/")
    if slash and ("." in host or ":" in host):
        repository = rest
    if not re.fullmatch(r"[a-z0-9][a-z0-9._/-]*", repository) or not re.fullmatch(r"[\w.-]+", tag):
        raise RefusedError(f"{name!r} is not REGISTRY/REPOSITORY:TAG")
    return _images() / repository / tag


def _ignore(context: Path) -> Callable[[str, list[str]], set[str]]:
    """Return what of the context stays out, for `copytree`: made folders, and `.dockerignore`."""
    rules: list[tuple[bool, str]] = [(True, f"**/{name}") for name in NOT_SOURCE]
    file = context / ".dockerignore"
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            pattern = line.strip().strip("/")
            if pattern and not pattern.startswith("#"):
                # Docker's patterns know no groups: braces are characters.
                plain = re.sub(r"[{}]", r"\\\g<0>", pattern.lstrip("!/"))
                try:
                    compile_glob(plain)
                except GlobError as error:
                    raise RefusedError(f"{file}: {error}") from None
                rules.append((not pattern.startswith("!"), plain))

    def ignored(folder: str, names: list[str]) -> set[str]:
        where = Path(folder).relative_to(context)
        return {name for name in names if _last_rule(rules, (where / name).as_posix())}

    return ignored


def _last_rule(rules: Sequence[tuple[bool, str]], path: str) -> bool:
    answer = False
    for ignore, pattern in rules:
        # A later `!docs/kept.md` must still find its folder.
        if glob_matches(pattern, path) or (not ignore and pattern.startswith(path + "/")):
            answer = ignore
    return answer


def _digest(tree: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(tree.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(tree).as_posix().encode() + b"\0" + path.read_bytes())
    return f"sha256:{digest.hexdigest()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
