"""`history`: what was deployed to an environment, when, by whom, and how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verbs import JSON, READ_ENV, on_environment, verb

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.deploy.past import Past

_SLOW = 1.0  # seconds: a write that waits so long for a lock is one that somebody notices


@verb(
    "read",
    "everybody",
    flags={
        "env": READ_ENV,
        "slow": "from how many seconds on one is marked as slow (1)",
        "page": "write a page with a plot of the durations into this file, and print its name",
        "json": JSON,
    },
    bare="env",
)
def history(root: Path, env: str = "", slow: str = "", page: str = "", json: bool = False) -> None:
    """Show what was deployed when, by whom, of which commit, and how long it took."""
    from pathlib import Path as File

    from pipeline.console.flags import not_with, seconds
    from pipeline.deploy.past import read_past

    not_with("json", json, page=bool(page))
    limit = seconds("slow", slow)
    limit = _SLOW if limit is None else limit
    with on_environment(root, env, "history", or_local=True) as checkout:
        past = read_past(checkout)
    if json:
        from pipeline.console.documents import history_document, print_document

        print_document(history_document(checkout.environment.name, past, limit))
    elif page:
        from pipeline.console.pages import write
        from pipeline.console.pages.history import history_page
        from pipeline.console.text import say

        write(File(page), history_page(checkout.environment.name or past.server, past, limit))
        say(page)
    else:
        show_past(past, limit)


def show_past(past: Past, slow: float) -> None:
    """A line for each entry, oldest first, and one that sums up."""
    from pipeline.console.terminal import fitting, one_line
    from pipeline.console.text import counted, duration_text, say, server_text

    say(server_text(past.server, past.identity))
    for each in past.entries:
        when = each.at.strftime("%Y-%m-%d %H:%M:%S UTC") if each.at else "?"
        took = "" if each.milliseconds is None else duration_text(each.milliseconds)
        mark = "slow" if each.is_slow(slow) else ""
        row = f"  {when:23}  {each.operation:8}  {took:>10} {mark:4}  {one_line(each.id):42}"
        admission = past.let_in_by(each)
        let_in = "" if admission is None else admission.shown
        who = one_line(" ".join(filter(None, (each.actor, each.commit[:12], let_in))))
        say(fitting(row, who), "due" if mark or (admission and admission.reason) else "")
    marked = sum(each.is_slow(slow) for each in past.entries)
    say(f"{counted(len(past.entries), 'entry', 'entries')}, {marked} slow (from {duration_text(round(1000 * slow))})")
