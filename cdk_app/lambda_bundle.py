"""The rollback Lambda's asset: its own files and the part of `prompt_hub` that it may import."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

from cdk_app.lambda_modules import CARRIED_MODULES
from cdk_app.settings import SettingsError
from cdk_app.tasks import Task
from prompt_hub.core import aws_names

_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def rollback_code(root: Path, tasks: Sequence[Task]) -> lambda_.Code:
    """Return the asset of `lambdas/rollback`, put together without Docker.

    Named by what is in it: the code, and what a breach is for each of `tasks`.
    """
    source = root / "lambdas" / "rollback"
    if not (source / "handler.py").is_file():
        raise SettingsError(f"{source / 'handler.py'} is missing: the rollback Lambda has no code.")
    return lambda_.Code.from_asset(
        str(source),
        asset_hash_type=AssetHashType.OUTPUT,
        bundling=BundlingOptions(
            # Never pulled: the local bundling below always succeeds or raises.
            image=DockerImage.from_registry("local-bundling-only"),
            local=CopiedCode(source, root / "pipeline_image" / "prompt_hub", tasks),
        ),
    )


@jsii.implements(ILocalBundling)
class CopiedCode:
    """Copies the handler's folder and the shared modules into the asset, and writes the windows."""

    def __init__(self, source: Path, package: Path, tasks: Sequence[Task]) -> None:
        self._source = source
        self._package = package
        self._windows = {
            task.name: [
                task.watch.datapoints_to_alarm,
                task.watch.evaluation_periods,
                task.watch.every_minutes,
            ]
            for task in tasks
        }

    def try_bundle(self, output_dir: str, *, image: DockerImage, **options: object) -> bool:
        """Write the asset, as CDK asks for it; no Docker is needed."""
        self.copy_to(Path(output_dir))
        return True

    def copy_to(self, target: Path) -> None:
        """Write the asset into a folder."""
        shutil.copytree(self._source, target, ignore=_IGNORED, dirs_exist_ok=True)
        for module in CARRIED_MODULES:
            self._carry(Path(*module.split(".")), target)
        windows = json.dumps(self._windows, indent=1, sort_keys=True)
        (target / aws_names.WINDOWS_FILE).write_text(windows, encoding="utf-8")

    def _carry(self, module: Path, target: Path) -> None:
        """Copy a module, and of the packages around it what makes them packages."""
        source = self._package.parent
        wanted = [package / "__init__.py" for package in module.parents if package.name]
        if (source / module).is_dir():
            shutil.copytree(source / module, target / module, ignore=_IGNORED)
        else:
            wanted.append(module.with_suffix(".py"))
        for file in wanted:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / file, target / file)
