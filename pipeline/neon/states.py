"""The states of a branch: bringing one back, keeping one as a snapshot, and reading its schema.

None of these calls is repeated blindly: a restore that was asked for twice could take back what clients wrote meanwhile, and a
second snapshot costs money. When an answer is lost, the client looks for what the call would have made or begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.neon.calls import Calls, read, read_list, read_operations
from pipeline.neon.failures import ApiError, NotFound
from pipeline.neon.moments import NOW, Moment, with_zone
from pipeline.neon.shapes import Branch, Snapshot

if TYPE_CHECKING:
    from datetime import datetime

# What Neon does for a restore. A compute that is started or suspended meanwhile says nothing about it.
_RESTORING = frozenset({"create_branch", "create_timeline"})


class StateCalls(Calls):
    """Restores, snapshots and schemas of branches."""

    def restore_branch(
        self,
        project_id: str,
        branch_id: str,
        *,
        source_id: str | None = None,
        moment: Moment = NOW,
        preserve_as: str | None = None,
    ) -> Branch:
        """Bring a branch to a moment of its own history, or of another branch's (`source_id`), and wait for it.

        Its id, computes and connection strings stay; sessions are cut. `preserve_as` is the name of a branch that keeps the
        old state and gets the children; Neon wants one for a branch's own history, and for one that has children.
        """
        source = {f"source_{name}": value for name, value in moment.fields().items()}
        body: dict[str, Any] = {"source_branch_id": source_id or branch_id, **source}
        if preserve_as is not None:
            self._require_free_name(project_id, preserve_as)
            body["preserve_under_name"] = preserve_as
        return self._change_state(project_id, branch_id, "restore", body)

    def reset_branch(self, project_id: str, branch_id: str, *, preserve_as: str | None = None) -> Branch:
        """Bring a branch to the present state of its parent, as the console's "reset from parent" does, and wait for it."""
        parent = self.branch(project_id, branch_id).parent_id
        if parent is None:
            raise ApiError(f"the branch {branch_id} is a root branch: it has no parent to be reset from", status=422)
        return self.restore_branch(project_id, branch_id, source_id=parent, preserve_as=preserve_as)

    def snapshots(self, project_id: str) -> list[Snapshot]:
        """Return the snapshots of a project, newest first."""
        return read_list(Snapshot.from_json, self._transport.get(f"/projects/{project_id}/snapshots"), "snapshots")

    def find_snapshot(self, project_id: str, name: str) -> Snapshot | None:
        """Return the snapshot of exactly that name, or None. Names are unique in a project."""
        return next((each for each in self.snapshots(project_id) if each.name == name), None)

    def create_snapshot(
        self,
        project_id: str,
        branch_id: str,
        name: str,
        *,
        moment: Moment = NOW,
        expires_at: datetime | None = None,
    ) -> Snapshot:
        """Keep the state of a root branch at a moment, and wait until that is done. Refuses a name that is taken."""
        if (taken := self.find_snapshot(project_id, name)) is not None:
            raise ApiError(f"the project {project_id} already has a snapshot {name} ({taken.id})", status=409)
        params = {"name": name, **moment.fields()}
        if expires_at is not None:
            params["expires_at"] = with_zone(expires_at)
        path = f"/projects/{project_id}/branches/{branch_id}/snapshot"
        newest = self._newest_operation(project_id)

        def send() -> Snapshot:
            answer = self._transport.call("POST", path, params=params, repeatable=False)
            self.wait(read_operations(answer))
            return self._snapshot(project_id, read(Snapshot.from_json, answer, "snapshot").id)

        def look() -> Snapshot | None:
            made = self.find_snapshot(project_id, name)
            if made is None:
                return None
            self.wait(self._begun_since(project_id, newest, branch_id))
            return self._snapshot(project_id, made.id)

        return self._look_before_repeating(send, look)

    def rename_snapshot(self, project_id: str, snapshot_id: str, name: str) -> Snapshot:
        """Give a snapshot another name."""
        path, body = f"/projects/{project_id}/snapshots/{snapshot_id}", {"snapshot": {"name": name}}
        return read(Snapshot.from_json, self._transport.call("PATCH", path, json=body), "snapshot")

    def delete_snapshot(self, project_id: str, snapshot_id: str) -> bool:
        """Delete a snapshot for good and wait for it. False when it was not there any more."""
        return self._delete(project_id, f"/projects/{project_id}/snapshots/{snapshot_id}")

    def restore_snapshot(self, project_id: str, snapshot_id: str, name: str, *, target_id: str) -> Branch:
        """Make a branch of a snapshot, to be looked at, and wait until it is ready. Refuses a name that is taken.

        `target_id` is the branch whose place it may take (`finalize_restore`). Neon can do both in one call; then nobody
        could tell a lost answer from a call that never came, since the branch has another name by the end.
        """
        self._require_free_name(project_id, name)
        path = f"/projects/{project_id}/snapshots/{snapshot_id}/restore"
        body = {"name": name, "target_branch_id": target_id, "finalize_restore": False}

        def send() -> Branch:
            answer = self._transport.call("POST", path, json=body, repeatable=False)
            self.wait(read_operations(answer))
            return self.branch(project_id, read(Branch.from_json, answer, "branch").id)

        def look() -> Branch | None:
            made = self.find_branch(project_id, name)
            if made is None:
                return None
            self.settle(project_id, made.id)
            return self.branch(project_id, made.id)

        return self._look_before_repeating(send, look)

    def finalize_restore(self, project_id: str, branch_id: str, *, old_name: str) -> Branch:
        """Put a branch that was made of a snapshot in the place of its target, and wait for it.

        Names, computes and protection change places; the target is called `old_name` afterwards. Neon's documents differ on
        which of the two ids stays, so the branch that is in place now is returned: it is the one with the target's name.
        """
        target_id = self.branch(project_id, branch_id).restored_as
        if target_id is None:
            raise ApiError(f"the branch {branch_id} waits for no restore to be finalized", status=422)
        name = self.branch(project_id, target_id).name
        self._require_free_name(project_id, old_name)
        path = f"/projects/{project_id}/branches/{branch_id}/finalize_restore"
        newest = self._newest_operation(project_id)

        def send() -> bool:
            self.wait(read_operations(self._transport.call("POST", path, json={"name": old_name}, repeatable=False)))
            return True

        def look() -> bool | None:
            self.wait(self._begun_since(project_id, newest, branch_id, target_id))
            found = self.find_branch(project_id, old_name)
            return True if found is not None and found.id in {branch_id, target_id} else None

        self._look_before_repeating(send, look)
        return self._named(project_id, name)

    def schema(self, project_id: str, branch_id: str, database: str, *, moment: Moment = NOW) -> str:
        """Return the schema of a database at a moment, as pg_dump writes it."""
        path = f"/projects/{project_id}/branches/{branch_id}/schema"
        return read(str, self._transport.get(path, db_name=database, **moment.fields()), "sql")

    def compare_schema(
        self,
        project_id: str,
        branch_id: str,
        database: str,
        *,
        base_id: str | None = None,
        moment: Moment = NOW,
        base_moment: Moment = NOW,
    ) -> str:
        """Return how a database differs from that of a base branch (None: the parent), as a unified diff; "" for not at all."""
        params = {**moment.fields(), **base_moment.fields("base_")}
        path = f"/projects/{project_id}/branches/{branch_id}/compare_schema"
        answer = self._transport.get(path, db_name=database, base_branch_id=base_id, **params)
        return str(answer.get("diff") or "")

    def _change_state(self, project_id: str, branch_id: str, verb: str, body: dict[str, Any]) -> Branch:
        path = f"/projects/{project_id}/branches/{branch_id}/{verb}"
        name, backup = self.branch(project_id, branch_id).name, body.get("preserve_under_name")
        newest = self._newest_operation(project_id)

        def send() -> Branch:
            answer = self._transport.call("POST", path, json=body, repeatable=False)
            self.wait(read_operations(answer))
            return self._named(project_id, name)

        def look() -> Branch | None:
            begun = self._begun_since(project_id, newest, branch_id)
            if not any(operation.action in _RESTORING for operation in begun):
                return None
            self.wait(begun)
            if backup is not None and self.find_branch(project_id, backup) is None:
                return None  # it was another restore, which kept the old state under another name or not at all
            return self._named(project_id, name)

        return self._look_before_repeating(send, look)

    def _named(self, project_id: str, name: str) -> Branch:
        """A branch after its state changed: its name stays, and Neon's documents differ on whether its id does."""
        found = self.find_branch(project_id, name)
        if found is None:
            raise NotFound(f"the project {project_id} has no branch {name} after it was restored", status=404)
        return found

    def _snapshot(self, project_id: str, snapshot_id: str) -> Snapshot:
        """Neon has no call for one snapshot."""
        found = next((each for each in self.snapshots(project_id) if each.id == snapshot_id), None)
        if found is None:
            raise NotFound(f"the project {project_id} has no snapshot {snapshot_id}", status=404)
        return found
