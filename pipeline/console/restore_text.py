"""What `restore` says to people: where an environment can go back to, and what became of its tables since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.console.terminal import fitting, one_line, write_error
from pipeline.console.text import counted, say, server_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pipeline.restore.comparing import TableChanges
    from pipeline.restore.in_place import Loss, WentBack
    from pipeline.restore.looking import Look
    from pipeline.restore.points import Point, Points
    from pipeline.restore.taking import Taken

    Found = Points | Look | Taken | WentBack

_UNKNOWN = "?"


def show_found(environment: str, found: Found, *, show: bool) -> None:
    """What the verb did to an environment."""
    from pipeline.restore.looking import Look
    from pipeline.restore.points import Points
    from pipeline.restore.taking import Taken

    if isinstance(found, Points):
        show_points(environment, found)
    elif isinstance(found, Look):
        show_look(found, show=show)
    elif isinstance(found, Taken):
        show_taken(environment, found)
    else:
        show_back(found)


def show_points(environment: str, found: Points) -> None:
    """A line for each moment, oldest first, and what there is besides."""
    say(server_text(found.view.server, found.view.identity))
    for each in found.points:
        _show_point(each)
    for kept in found.kept:
        ends = f", until {_instant(kept.branch.expires_at)}" if kept.branch.expires_at else ""
        say(f"  kept point before {kept.migration}: {kept.branch.name} ({kept.branch.id}) of {_instant(kept.at)}{ends}")
    for branch in found.old_states:
        say(f"  old state, before it went back: {branch.name} ({branch.id}) of {_instant(branch.created_at)}")
    for held in found.held:
        say(f"  held: {held.id}, undone by a restore: a deploy refuses it until it is edited or released", "due")
    if found.unasked:
        say(f"note: nobody could tell what the project's history has: {found.unasked}")
    elif found.history_from is not None:
        say(
            f"The project's history begins at {_instant(found.history_from)}, by its setting (on Free also after 1 GB of "
            "changes)."
        )
    say(
        f"`./inv restore --env {environment} --before NUMBER` looks at what was there before a migration, and changes nothing."
    )


def show_look(look: Look, *, show: bool) -> None:
    """The branch of a look, and a line for each table that is not what it was."""
    migration, branch = look.migration, look.lease.branch
    when = f", {_instant(migration.applied_at)}" if migration.applied_at else ""
    say(f"before {migration.id} (WAL {migration.lsn}{when})", "head")
    say(
        f"{'the same branch again' if look.again else 'a branch'}: {branch.name} ({branch.id})"
        + (f", until {_instant(branch.expires_at)}" if branch.expires_at else "")
    )
    if look.lease.url is not None:
        say(look.lease.url.reveal() if show else f"{look.lease.url}  (--show: with its password)")
    show_tables(look.tables)


def show_taken(environment: str, taken: Taken) -> None:
    """Where the rows are, and what is left to do with them."""
    (table,) = taken.look.tables
    if not taken.files:
        say(f"no row of {one_line(table.table)} is missing")
    else:
        rows, load, draft, *_ = taken.files
        say(f"{taken.rows:,} rows of {one_line(table.table)} are in {rows}", "due")
        say(
            "They are personal data, in a file that only you can read and git ignores: delete its folder when you are done."
        )
        say(f"1. ./inv psql --env {environment} -- -f {load}")
        say("   (loads them into the schema restored, which no service sees)")
        say(f"2. mv {draft.parent}/*bring_back*.sql migrations/, read it, commit, and deploy it as any other migration")
        say(
            f"3. ./inv psql --env {environment} -- "
            '-c "SET default_transaction_read_only = off" -c "DROP SCHEMA restored CASCADE"'
        )
    if table.changed:
        say(
            f"{table.changed:,} rows that changed are not taken: which of their columns were overwritten, you know better."
        )
    for finding in taken.findings:
        say(f"`check` will say of the draft, line {finding.line}: {finding.rule}: {finding.message}", "wrong")


def show_tables(tables: Iterable[TableChanges]) -> None:
    """Rows then and now, gone, new and changed; tables that are the same in one line."""
    found = list(tables)
    other = [each for each in found if not each.is_same]
    if other:
        say(f"  {'table':28} {'then':>12} {'now':>12} {'gone':>12} {'new':>12} {'changed':>12}")
    for each in other:
        counts = " ".join(f"{_count(value):>12}" for value in (each.then, each.now, each.gone, each.new, each.changed))
        say(fitting(f"  {one_line(each.table):28} {counts}", _remark(each)), "due" if each.gone or each.changed else "")
    same = [one_line(each.table) for each in found if each.is_same]
    if same:
        say(f"  the same in {counted(len(same), 'table')}: {', '.join(same)}")


def show_loss(loss: Loss) -> None:
    """On standard error, since it is read before the question: the migrations that are undone, and the rows that are lost."""
    lines = [
        f"{loss.environment} ({loss.server}) would go back to before {loss.migration.id} (WAL {loss.migration.lsn}).",
        f"Undone, and held afterwards: {', '.join(one_line(each.id) for each in loss.undone)}",
        *(f"  {_lost(each)}" for each in loss.tables if not each.is_same),
        _sum_of_losses(loss.tables),
    ]
    if loss.writers:
        lines.append(f"Others are connected, and what they write until then is lost: {loss.writers}")
    write_error("".join(f"{line}\n" for line in lines))


def show_back(back: WentBack) -> None:
    """What was done, and the one line that says where the old state is."""
    say(f"{server_text(back.view.server, back.view.identity)}: before {back.before} (WAL {back.lsn})", "head")
    if back.held:
        say(f"held: {', '.join(back.held)}; a deploy refuses what is held until it is edited or released")
    else:
        say("nothing is held: what was undone has been released since")
    if back.activated:
        say(f"LOGIN and password set for {', '.join(back.activated)}")
    if back.passwords_unseen:
        say(f"note: {back.passwords_unseen}")
    say("The connection string is as it was; sessions were cut.")
    say(
        f"The old state is kept as {back.old_state.name} ({back.old_state.id}), until somebody deletes that branch.",
        "due",
    )


def _lost(each: TableChanges) -> str:
    if each.uncompared:
        return f"{one_line(each.table)}: not compared ({each.uncompared})"
    if each.then is None:
        return f"{one_line(each.table)}: the table goes, with {_count(each.now)} rows"
    back = f"{_count(each.gone)} rows come back"
    lost = f"{_count(each.new)} rows since then are lost"
    changed = f", {_count(each.changed)} rows are again what they were" if each.changed else ""
    return f"{one_line(each.table)}: {lost}{changed}; {back}"


def _sum_of_losses(tables: Iterable[TableChanges]) -> str:
    found = list(tables)
    new, changed = (
        sum(filter(None, values)) for values in ((each.new for each in found), (each.changed for each in found))
    )
    unknown = sum(bool(each.uncompared) for each in found)
    more = f", and whatever there is in {counted(unknown, 'table')} that nobody compared" if unknown else ""
    return f"In all {counted(new, 'new row')} and {counted(changed, 'change')} of others since then are lost{more}."


def _show_point(point: Point) -> None:
    each = point.migration
    when = _instant(each.applied_at) if each.applied_at else _UNKNOWN
    state = {True: "within", False: "outside", None: _UNKNOWN}[point.reachable] if each.lsn else "no position"
    row = f"  {one_line(each.id):42} {when:23}  {each.lsn or '-':12} {state:11}"
    say(
        fitting(row, one_line(" ".join(filter(None, (each.actor, each.commit[:12]))))),
        "" if state == "within" else "aside",
    )


def _remark(each: TableChanges) -> str:
    parts = []
    if each.uncompared:
        parts.append(each.uncompared)
    if each.then is None and each.now is not None:
        parts.append("was not there")
    if each.now is None and each.then is not None:
        parts.append("is not there any more")
    if each.dropped:
        parts.append(f"without {', '.join(map(one_line, each.dropped))}, dropped since")
    if each.added:
        parts.append(f"without {', '.join(map(one_line, each.added))}, added since")
    if not each.key and None not in {each.then, each.now}:
        parts.append("no key: a changed row is one gone and one new")
    return "; ".join(parts)


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
