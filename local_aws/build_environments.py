"""What a build action finds installed: a venv and an npm prefix, made once and used again.

An environment is named by a hash of everything that decides what gets installed: the commands of
the install phase and the files that pin packages. The first build that needs it really runs those
commands, in a copy of its source that stays beside the venv (an editable install, or
`node_modules`, then never points into a folder that is gone); later ones skip them and say so.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import site
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_aws import compiled_modules, venvs
from local_aws.locks import alone_in

PINS = (
    "requirements*.txt",
    "requirements*.lock",
    "pipeline_image/requirements.*",
    "pyproject.toml",
    "package*.json",
    ".npmrc",
)
"""Files of a source tree that decide what an install command installs."""

NOT_SOURCE = (".git", "cdk.out", "node_modules", ".venv", ".local", "__pycache__")
"""Folders that are made from the source, never part of it."""

_PASSED = ("PIP_", "UV_", "NPM_CONFIG_", "SSL_CERT_", "LC_", "JSII_")
_PASSED_WHOLE = {
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "DOCKER_CERT_PATH",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "TZ",
}


@dataclass(frozen=True)
class Environment:
    """One environment on disk; `folder` holds `venv`, `npm` and `source`."""

    folder: Path

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.folder / "venv"

    @property
    def source(self) -> Path:
        """The copy of the source in which the install commands ran."""
        return self.folder / "source"

    @property
    def variables(self) -> dict[str, str]:
        """What makes a process use this environment; `PATH` has to be put before the rest."""
        return {
            "VIRTUAL_ENV": str(self.venv),
            "NPM_CONFIG_PREFIX": str(self.folder / "npm"),
            "PATH": f"{self.venv / 'bin'}:{self.folder / 'npm' / 'bin'}",
        }


def base_variables(scratch: Path) -> dict[str, str]:
    """Return an environment without credentials, without CI, with `HOME` in `scratch`.

    How this machine reaches package registries passes through, and caches of packages are shared
    with the person who runs it.
    """
    home = Path.home()
    passed = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _PASSED_WHOLE or name.upper().startswith(_PASSED)
    }
    ours = {Path(sys.executable).parent, Path(os.environ.get("VIRTUAL_ENV", "/")) / "bin"}
    path = [
        folder
        for folder in os.environ.get("PATH", os.defpath).split(":")
        if Path(folder) not in ours and not folder.endswith("node_modules/.bin")
    ]
    return {
        "LANG": "C.UTF-8",
        "PIP_CACHE_DIR": str(home / ".cache" / "pip"),
        # Modules are compiled when first imported: most of the CDK library never is.
        "PIP_COMPILE": "0",
        "UV_CACHE_DIR": str(home / ".cache" / "uv"),
        "NPM_CONFIG_CACHE": str(home / ".npm"),
        "NPM_CONFIG_USERCONFIG": str(home / ".npmrc"),
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(home / ".cache" / "aws" / "jsii" / "package-cache"),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
        **_configuration(home),
        **passed,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PATH": ":".join(path),
        "PYTHONUNBUFFERED": "1",
    }


def _configuration(home: Path) -> dict[str, str]:
    """Where the person who runs this has configured package indexes, for the installers."""
    places = {
        "PIP_CONFIG_FILE": (home / ".config" / "pip" / "pip.conf", home / ".pip" / "pip.conf"),
        "UV_CONFIG_FILE": (home / ".config" / "uv" / "uv.toml",),
    }
    return {
        name: str(next(filter(Path.exists, files)))
        for name, files in places.items()
        if any(map(Path.exists, files))
    }


def environment_for(
    folder: Path,
    source: Path,
    commands: Sequence[str],
    *,
    install: Callable[[Environment], bool],
    say: Callable[[str], None],
) -> Environment | None:
    """Return the environment for `commands` on `source`, made now if it is not there yet.

    `folder` holds all environments. `install` runs the commands inside a new one and answers
    whether they succeeded; if they did not, nothing is kept and the answer is None. Builds that
    need the same new environment at the same time wait for the first.
    """
    name = _digest(source, commands)
    environment = Environment(folder / name)
    done = environment.folder / "environment.json"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / f"{name}.lock"
    lock.touch()
    with alone_in(lock):
        if done.exists():
            made = json.loads(done.read_text(encoding="utf-8"))
            say(
                f"Environment {name} is used again: {len(commands)} install command(s) are not "
                f"run, which took {made['seconds']} s; nothing they depend on has changed"
            )
            return environment
        started = time.monotonic()
        say(
            f"Environment {name} is new: {len(commands)} install command(s) run once, in a copy "
            "of the source"
        )
        shutil.rmtree(environment.folder, ignore_errors=True)
        shutil.copytree(
            source, environment.source, symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCE)
        )
        venvs.make(environment.venv)
        if not install(environment):
            shutil.rmtree(environment.folder, ignore_errors=True)
            return None
        for packages in (
            *map(Path, site.getsitepackages()),
            *folder.glob(f"*/venv/{compiled_modules.PACKAGES}"),
        ):
            for own in environment.venv.glob(compiled_modules.PACKAGES):
                compiled_modules.share(packages, own)
        seconds = round(time.monotonic() - started, 1)
        done.write_text(
            json.dumps({"commands": list(commands), "seconds": seconds}, indent=2), encoding="utf-8"
        )
        return environment


def lend_node_modules(environment: Environment, source: Path) -> None:
    """Let `source` find the packages that `npm ci` installed beside the environment."""
    installed, wanted = environment.source / "node_modules", source / "node_modules"
    if not installed.is_dir() or wanted.exists():
        return
    wanted.symlink_to(installed)
    exclude = source / ".git" / "info" / "exclude"
    if exclude.parent.is_dir():
        # `node_modules/` in .gitignore does not cover a link of that name.
        with exclude.open("a", encoding="utf-8") as file:
            file.write("/node_modules\n")


def _digest(source: Path, commands: Sequence[str]) -> str:
    digest = hashlib.sha256()
    digest.update("\0".join([platform.python_version(), sys.base_prefix, *commands]).encode())
    for pattern in PINS:
        for file in sorted(source.glob(pattern)):
            digest.update(f"\0{file.relative_to(source)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """Variables of all `layers`; later ones win, but a `PATH` is put before the earlier one."""
    result: dict[str, str] = {}
    for layer in layers:
        before = result.get("PATH")
        result.update(layer)
        if before and "PATH" in layer:
            result["PATH"] = f"{layer['PATH']}:{before}"
    return result
