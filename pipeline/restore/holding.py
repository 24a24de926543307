"""Holding what a restore undid, and letting it run again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pipeline.deploy.authorship import author_of
from pipeline.deploy.signals import as_exceptions
from pipeline.deploy.target import admit
from pipeline.errors import UsageError
from pipeline.history.holding import released_sql
from pipeline.migrations.names import number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.deploy.checkout import Checkout


def release(checkout: Checkout, named: Sequence[str]) -> tuple[str, ...]:
    """Let held migrations (ids or numbers) run as they are with the next deploy; their ids.

    Raises:
        UsageError: one is not held; nothing was changed.
        Other errors: what `open_locked` and `admit` raise.
    """
    with as_exceptions():
        opened = checkout.open_locked()
        with opened.session as session:
            admit(checkout.target, opened)
            held = opened.history.held
            chosen = [each for each in held.values() if {each.id, number_of(each.id)} & {*named}]
            known = {each.id for each in chosen} | {number_of(each.id) for each in chosen}
            if unknown := [name for name in named if name not in known]:
                there = ", ".join(sorted(held)) or "nothing"
                raise UsageError(
                    f"{', '.join(unknown)} is not held; {there} is",
                    remedy="Nothing was changed. `./inv status` shows it.",
                )
            author = author_of(os.environ)
            session.run(f"BEGIN;{''.join(released_sql(each, author) for each in chosen)}COMMIT")
    return tuple(sorted(each.id for each in chosen))
