"""What expanding and contracting have in common: schema.sql edited here, together with new files, and both applied."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InvalidPlan
from pipeline.generate.derived_files import write_derived
from pipeline.generate.gate import folder_with
from pipeline.generate.generating import Generated
from pipeline.generate.new_migrations import put
from pipeline.generate.proposals.lint_answers import findings_about
from pipeline.migrations import read_folder
from pipeline.schema.dump import wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.generate import Workbench
    from pipeline.generate.derived_files import DerivedTexts
    from pipeline.generate.generating import Runner
    from pipeline.generate.new_migrations import NewMigration
    from pipeline.schema.replay import BothSchemas


@dataclass(frozen=True)
class Edit:
    """What is proven: schema.sql's new text, the files, what follows from them, what they lose and what is to be known."""

    schema: str
    migrations: tuple[NewMigration, ...]
    derived: DerivedTexts
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def refuse_other_changes(seen: BothSchemas) -> None:
    """Refuse where schema.sql is not what the migrations build: it is edited here, and what it asks for is proven by itself.

    Raises:
        InvalidPlan: it asks for something.
    """
    if seen.deviations:
        raise InvalidPlan(
            f"schema.sql asks for something else as well:\n{wanted(seen.deviations)}",
            where="schema.sql",
            remedy="Nothing was written. Make a migration of that first (`./inv migrate --name …`), or take it out: this edits "
            "schema.sql itself.",
        )


@contextmanager
def edited(workbench: Workbench, schema: str, migrations: Sequence[NewMigration]) -> Iterator[Workbench]:
    """A workbench whose schema.sql and migrations are as they would be."""
    with (
        tempfile.TemporaryDirectory(prefix="db-pipeline-") as name,
        folder_with(workbench.migrations, migrations) as read,
    ):
        root = Path(name)
        (root / workbench.schema.name).write_text(schema, encoding="utf-8", newline="\n")
        (root / workbench.migrations.name).symlink_to(read.path)
        yield replace(workbench, root=root, chosen_differ=workbench.differ)


def written(workbench: Workbench, edit: Edit, *, dry_run: bool) -> Generated:
    """Write it, and say what `check` will ask about the files; a dry run says alone what would be written."""
    with folder_with(workbench.migrations, edit.migrations) as folder:
        findings = tuple(findings_about(folder, {each.id for each in edit.migrations}))
    generated = Generated(losses=edit.losses, notes=edit.notes, findings=findings)
    if dry_run:
        return replace(generated, proposed=edit.migrations)
    files = _write_both(workbench, edit.schema, edit.migrations)
    return replace(generated, files=tuple(files), derived=write_derived(workbench, edit.derived))


def applied(workbench: Workbench, generated: Generated, run: Runner | None) -> Generated:
    """Apply what was written with `run`, unless `check` asks about it. Raises what `run` raises."""
    if run is None or generated.findings or not generated.files:
        return generated
    return replace(generated, report=run(read_folder(workbench.migrations)))


def _write_both(workbench: Workbench, schema: str, migrations: Sequence[NewMigration]) -> list[Path]:
    """Put the files there and write schema.sql; where that fails, neither is done."""
    files = put(workbench.migrations, migrations)
    new = workbench.schema.with_name(f".{workbench.schema.name}.new")
    try:
        new.write_text(schema, encoding="utf-8", newline="\n")
        new.replace(workbench.schema)
    except BaseException:
        new.unlink(missing_ok=True)
        for path in files:
            path.unlink()
            path.with_name(f"{path.stem}.rollback.sql").unlink()
        raise
    return files
