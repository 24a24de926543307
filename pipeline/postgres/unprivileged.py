"""PostgreSQL refuses to run as root: an existing account that runs it instead, and what that account can reach.

Permissions of folders that others made are never changed. Where the account cannot pass, files go elsewhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.errors import ConfigurationError
from servers import installation
from servers.account import Account, NoAccount
from servers.installation import make_folder

_ELSEWHERE = Path("/var/lib/db-pipeline")
"""Where root keeps a server's files when the account cannot pass to the checkout, as with one below /root."""


def account_for_server() -> Account:
    """Give the account that a server is run as.

    Raises:
        ConfigurationError: we are root, and there is none of the accounts that could be used.
    """
    try:
        return Account.choose("nobody", "postgres")
    except NoAccount as error:
        raise ConfigurationError(
            str(error), remedy="Run as another user, start Docker, or set DATABASE_URL to a local server."
        ) from None


def place_for(folder: Path, account: Account) -> Path:
    """Give `folder`, or one that stands for it elsewhere when `account` cannot pass to it. It exists afterwards."""
    make_folder(folder)
    if account.passes(folder):
        return folder
    elsewhere = _ELSEWHERE / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    make_folder(elsewhere)
    if not account.passes(elsewhere):
        raise ConfigurationError(
            f"the account {account.name} can pass neither to {folder} nor to {elsewhere}",
            remedy="Move the checkout to a folder that is not private to root, start Docker, or run as another user.",
        )
    return elsewhere


def programs_for(wheel: Path, complete: Path | None, account: Account) -> Path:
    """Give the folder of programs that `account` can run: the environment's, or one that checkouts share."""
    return installation.programs(wheel, complete, account, _ELSEWHERE)
