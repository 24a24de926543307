"""Whether somebody wants to lose what going back in place takes away: told first, then asked for the environment's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import Refused, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.restore.in_place import Loss


def consent_of(
    environment: str,
    *,
    confirmed: str,
    with_writers: bool,
    tell: Callable[[Loss], None],
    ask: Callable[[str], str | None],
) -> Callable[[Loss], None]:
    """Give what `go_back` asks. `confirmed` is the name as somebody gave it ahead, who has not read what is told.

    So where others are connected, and may write, that is not enough: `with_writers` says that it is known.

    Raises:
        UsageError: another environment's name was given.
    """
    if confirmed and confirmed != environment:
        raise UsageError(
            f"--confirm {confirmed} is not the environment {environment}",
            remedy="Nothing was changed. Give the name of the environment that is to go back.",
        )

    def require(loss: Loss) -> None:
        tell(loss)
        if confirmed:
            if loss.writers and not with_writers:
                raise Refused(
                    f"others are connected to {loss.server}, and what they write until then is lost: {loss.writers}",
                    remedy="Nothing was changed. Stop the services, or give --with-writers too.",
                )
            return
        typed = ask(f"Type {environment} to let it go back (anything else leaves it as it is): ")
        if typed is None:
            raise UsageError(
                "nobody is there to type the environment's name",
                remedy=f"Nothing was changed. In CI: --confirm {environment}.",
            )
        if typed != environment:
            raise Refused("nothing was changed", remedy=f"Type {environment} to let it go back.")

    return require
