"""Virtual environments with a copy of this interpreter's pip: `python local_aws/venvs.py FOLDER`.

`ensurepip` takes ten times longer. The standard library alone: it runs before anything is
installed.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path


def make(where: Path) -> None:
    """Make the venv `where` anew; what was there is gone."""
    bare = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(where)]
    subprocess.run(bare, check=True)
    found = find_spec("pip")
    if found is None or found.origin is None:
        subprocess.run([str(where / "bin" / "python"), "-m", "ensurepip"], check=True)
        return
    packages = next((where / "lib").glob("python*/site-packages"))
    ours = Path(found.origin).parents[1]
    for folder in [ours / "pip", *ours.glob("pip-*.dist-info")]:
        shutil.copytree(folder, packages / folder.name)
    python = shlex.quote(str(where / "bin" / "python"))
    for name in ("pip", "pip3"):
        script = where / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {python} -m pip "$@"\n')
        script.chmod(0o755)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
