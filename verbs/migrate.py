"""`migrate` and `verify`: from the edited schema.sql to a proven migration that is applied here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import DRY_RUN, NOTHING_DONE, WAIT, on_local, verb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.generate.derived_files import Derived
    from pipeline.generate.generating import Generated
    from pipeline.generate.verifying import Verified


@verb(
    "local-only",
    "developers",
    flags={
        "name": "generate a migration of this name from the edited schema.sql, prove it, and apply it",
        "draft": "with --name: write it without applying it",
        "empty": "with --name: write a file to fill in by hand",
        "allow-destructive": "with --name: also where data is lost",
        "rename": "with --name: a rename in place of a drop and a create, as old=new; may be repeated",
        "fill": "with --name: what rows get in a column that becomes NOT NULL, as TABLE.COLUMN=VALUE; may be repeated",
        "keep-both": "with --rename TABLE.COLUMN=NEW: both columns stand until --contract (docs/expand-contract.md)",
        "retype": "with --name: another type for a column, as TABLE.COLUMN=TYPE; both stand until --contract",
        "using": "with --retype: the new value, an SQL expression over the old column",
        "back": "with --retype: the old value, an SQL expression over the new column",
        "as": "with --retype: the new column's name; left out, the old one's with the type's",
        "contract": "with --name: the old column of an expansion goes, as TABLE.COLUMN",
        "hotfix": "with --name: of the release that is checked out, under its last number with a letter (docs/a-hotfix.md)",
        "wait": WAIT,
        "dry-run": f"{DRY_RUN}; with --name, also what would be written",
    },
    repeatable=["rename", "fill"],
    bare="name",
)
def migrate(  # noqa: PLR0913, PLR0917 - each is a flag
    root: Path,
    name: str = "",
    draft: bool = False,
    empty: bool = False,
    allow_destructive: bool = False,
    rename: list[str] | None = None,
    fill: list[str] | None = None,
    keep_both: bool = False,
    retype: str = "",
    using: str = "",
    back: str = "",
    as_: str = "",
    contract: str = "",
    hotfix: bool = False,
    wait: str = "",
    dry_run: bool = False,
) -> None:
    """Apply what is pending locally; with --name, generate a migration first."""
    from pipeline.console.flags import not_with, only_with, seconds
    from pipeline.console.text import say, show_report
    from verbs.status import show_dry_run

    given = {
        "draft": draft,
        "empty": empty,
        "allow_destructive": allow_destructive,
        "hotfix": hotfix,
        "fill": bool(fill),
    }
    only_with("name", name, **given, rename=bool(rename), retype=bool(retype), contract=bool(contract))
    only_with("retype", retype, using=bool(using), back=bool(back), as_=bool(as_))
    only_with("rename", "".join(rename or ()), keep_both=keep_both)
    not_with("dry-run", dry_run, empty=empty, draft=draft)
    not_with("keep-both", keep_both, **given, retype=bool(retype), contract=bool(contract))
    not_with("retype", bool(retype), **given, rename=bool(rename), contract=bool(contract))
    not_with("contract", bool(contract), **given, rename=bool(rename))
    lock_wait = None if name else seconds("wait", wait)
    with on_local(root, "migrate", writes=not dry_run) as checkout:
        if dry_run and not name:
            show_dry_run(checkout)
            return
        if not name:
            from pipeline.console.terminal import offered
            from pipeline.generate.derived_files import draw_after_conflict
            from pipeline.local.switching import deploy_or_switch

            show_report(deploy_or_switch(checkout, offer=offered, lock_wait=lock_wait))
            if page := draw_after_conflict(root, checkout.url):
                say(f"the ER diagram of docs/{page.name} was in conflict, and was drawn anew: `git add` it")
        elif empty:
            from pipeline.generate.entry import write_empty

            _show_files(write_empty(checkout, name, hotfix=hotfix))
            return
        else:
            if contract:
                from pipeline.generate.entry import contract_by_name

                generated = contract_by_name(checkout, name, contract, dry_run=dry_run)
            elif keep_both or retype:
                from pipeline.generate.entry import expand_by_name
                from pipeline.generate.expanding.requests import rename_request, retype_request

                request = retype_request(retype, using, back, as_) if retype else rename_request(rename or [])
                generated = expand_by_name(checkout, name, request, dry_run=dry_run)
            else:
                from pipeline.generate.entry import migrate_by_name
                from pipeline.generate.proposals import Wishes

                wishes = Wishes(allow_destructive, tuple(rename or ()), draft, dry_run, hotfix, tuple(fill or ()))
                generated = migrate_by_name(checkout, name, wishes)
            _show_generated(generated)
            if dry_run:
                say(NOTHING_DONE)
                return
            _refuse_findings(generated)
    say(f"DATABASE_URL={checkout.url.masked()}")


@verb(
    "local-only",
    "developers",
    flags={"from": "the id or number of the first one to prove; left out, the drafts, or the last one"},
    bare="from",
)
def verify(root: Path, from_: str = "") -> None:
    """Prove a migration that was finished by hand, forward and back."""
    from pipeline.console.flags import migration
    from pipeline.generate.entry import verify_here

    with on_local(root, "verify") as checkout:
        _show_verified(verify_here(checkout, [migration(from_)] if from_ else []))


def _show_files(files: Iterable[Path]) -> None:
    from pipeline.console.text import say

    for file in files:
        say(f"wrote {file.parent.name}/{file.name}")


def _show_generated(generated: Generated) -> None:
    """The new files with their text, what they lose, what check will ask, and what was applied."""
    from pipeline.console.text import say, show_report

    if not generated.files and not generated.proposed:
        say("no difference: the migrations build schema.sql already")
    for each in generated.proposed:
        say(f"-- would write migrations/{each.id}.sql\n{each.forward.rstrip()}\n")
        say(f"-- would write migrations/{each.id}.rollback.sql\n{each.backward.rstrip()}\n")
    for file in generated.files:
        say(f"-- wrote {file.parent.name}/{file.name}")
        say(file.read_text(encoding="utf-8").rstrip() + "\n")
    for loss in generated.losses:
        say(f"loses data: {loss}")
    for loss in generated.rollback_losses:
        say(f"rolling back loses data: {loss}")
    for note in generated.notes:
        say(f"note: {note}")
    if generated.findings:
        from pipeline.lint.reporting import as_text

        say(as_text(generated.findings))
    _show_derived(generated.derived)
    if generated.recorded:
        say(
            f"recorded as applied, and not run: {', '.join(generated.recorded)}. The local database is what it builds "
            "already, as after `./inv push`"
        )
    if generated.report is not None:
        show_report(generated.report)


def _refuse_findings(generated: Generated) -> None:
    from pipeline.console.text import counted
    from pipeline.errors import InvalidPlan

    if generated.findings:
        raise InvalidPlan(
            f"{counted(len(generated.findings), 'finding')}: `check` would ask about what was written, so it was not applied",
            remedy="Each says what to do about it. Correct the file, or say in it why it is right (docs/lint), then "
            "`./inv verify`, which proves it again, and `./inv migrate`, which applies it. To ask for something else: remove "
            "the files, edit schema.sql, and generate again.",
        )


def _show_verified(verified: Verified) -> None:
    from pipeline.console.text import say

    for id_ in verified.proven:
        say(f"proven, forward and back: {id_}{' (no longer a draft)' if id_ in verified.were_drafts else ''}")
    _show_derived(verified.derived)


def _show_derived(derived: Derived) -> None:
    from pipeline.console.text import say

    if (page := derived.page) is not None:
        say(f"the ER diagram of {page.parent.name}/{page.name} was drawn anew")
    if (file := derived.prisma) is not None:
        say(
            f"{file.parent.parent.name}/{file.parent.name}/{file.name} was written anew, as Prisma's engine finds the database"
        )
