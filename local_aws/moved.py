"""A checkout that was moved: what a local AWS made there names the folder of then."""

from __future__ import annotations

from pathlib import Path

from local_aws.processes import LocalRunError
from local_aws.settings import CloudSettings


def require_its_place(state: Path, author: Path) -> None:
    """Raise `LocalRunError` where what lies in `state` was made in another folder, which it names.

    Clones and images have that path; `author` is the clone with somebody's own work.
    """
    try:
        made_as = CloudSettings.load(state / "cloud.json").state.parent
    except (OSError, ValueError, KeyError, AttributeError):
        return  # Nothing is there, or it was torn: it is written anew.
    if made_as != state:
        raise LocalRunError(
            f"{state} was made as {made_as}, and its clones and images name that path. Move the"
            f" folder back; or keep what is in {author}, then `make clean`."
        )
