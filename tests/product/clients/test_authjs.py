"""Auth.js signs people in through its own Prisma adapter, as `server`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbclient.url import DatabaseURL
    from tests.support.typescript import Node


def test_people_sign_in_by_provider_and_by_email_and_leave_with_all_that_is_theirs(
    node: Node, server_url: DatabaseURL
) -> None:
    seen = node.run("sign_in.ts", url=server_url)
    person = seen.pop("userId")
    assert person
    assert seen == {
        "byAccount": person,
        "signedIn": [person, True],
        "prolonged": True,
        "updated": "Ada L.",
        "used": "ada@example.org",
        "usedAgain": None,
        "byEmail": person,
        "verified": True,
        "secondUser": "refused",
        "signedOut": None,
        "left": [0, 0, 0, 0, 0],
    }
