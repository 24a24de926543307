"""Stacks that are up, made once for each worker and copied: `pulumi up` takes seconds, a copy of what it left less than one.

What a run leaves is two folders: the emulator's (its projects with their data, while it is stopped) and the workspace's (the
state, the stacks' files). A copy of both is a project and a state of the test's own, on an emulator of its own.

The endpoints keep their ports, so one copy of a preparation lives at a time. Where another one does, or somebody has taken a
port meanwhile, the stacks are brought up from nothing: slower, and the same.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.engine.workspace import Workspace
from tests.support.emulator import Emulator
from tests.support.run_folders import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PREFIX = "neon-emulator"
# Of a run, not of what it left; what keeps names and passwords is in the rest.
_OF_A_RUN = ("lock", "up.lock", "address", "environment", "errors", "emulator.log")
_IN_WORKSPACE = ("state", "Pulumi.prod.yaml", "Pulumi.dev.yaml")


class Prepared:
    """`prod` up, or `prod` and `dev`; the folders of each are made when they are first wanted."""

    def __init__(self, folder: Path, fresh: Callable[[], Emulator]) -> None:
        self._folder = folder
        self._fresh = fresh
        self._kept: dict[tuple[str, ...], tuple[Path, Path, str]] = {}
        self._lent: Emulator | None = None

    def workspace(self, folder: Path, *stacks: str) -> Workspace:
        """A workspace in `folder` whose `stacks` are up, on an emulator of its own: end it with `close`."""
        if self._lent is not None:
            return _bring_up(folder, self._fresh(), stacks)
        data, work, name = self._keep(stacks)
        emulator = Emulator(_copied(data, make_folder(_PREFIX)))
        try:
            emulator.start()
        except AssertionError:  # it says which port is taken
            emulator.discard()
            return _bring_up(folder, self._fresh(), stacks)
        self._lent = emulator
        subprocess.run(["cp", "-a", *(work / each for each in _IN_WORKSPACE), folder], check=True)
        return Workspace(folder, emulator, folder / "state", project_name=name, stacks=False)

    def close(self, workspace: Workspace) -> None:
        """End a workspace and its emulator."""
        emulator = workspace.emulator
        workspace.neon.close()
        emulator.discard()
        if emulator is self._lent:
            self._lent = None

    def remove(self) -> None:
        """Delete what was kept."""
        for data, _, _ in self._kept.values():
            shutil.rmtree(data)

    def _keep(self, stacks: tuple[str, ...]) -> tuple[Path, Path, str]:
        if stacks not in self._kept:
            folder = self._folder / "-".join(stacks)
            folder.mkdir()
            *before, last = stacks
            workspace = self.workspace(folder, *before) if before else _bring_up(folder, self._fresh(), stacks)
            try:
                if before:
                    workspace.up(last)
                workspace.emulator.stop()
                data = _copied(workspace.emulator.data, make_folder(_PREFIX))
            finally:
                self.close(workspace)
            self._kept[stacks] = (data, folder, workspace.project_name)
        return self._kept[stacks]


def _bring_up(folder: Path, emulator: Emulator, stacks: tuple[str, ...]) -> Workspace:
    try:
        (folder / "state").mkdir()
        workspace = Workspace(folder, emulator, folder / "state")
        workspace.init("prod", "dev")
        for stack in stacks:
            workspace.up(stack)
    except BaseException:
        emulator.discard()  # nobody else knows of it: it would outlive the run
        raise
    return workspace


def _copied(data: Path, target: Path) -> Path:
    entries = [entry for entry in data.iterdir() if entry.name not in _OF_A_RUN]
    subprocess.run(["cp", "-a", *entries, target], check=True)
    return target
