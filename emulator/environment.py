"""What a shell needs so that everything run in it reaches this emulator, and nothing of it reaches Neon or a real stack."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from emulator.service import Access

# What else would lead a program elsewhere. curl, httpx and Python's urllib prefer a lower-case variable to the upper-case
# one; SSL_CERT_DIR and the bundles would replace the authority; DATABASE_URL is what a deploy goes to, before any stack.
UNSET = (
    "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "no_proxy",
    "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "DATABASE_URL", "SHADOW_DATABASE_URL",
    "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_STACK",
)  # fmt: skip


def variables(data: Path, access: Access) -> dict[str, str]:
    """The variables by name. The state of Pulumi is one of the emulator's own: a real stack's would lose what is real."""
    return {
        "NEON_API_KEY": access.api_key,
        "NEON_API_URL": f"{access.url}/api/v2",
        "NEON_API_HOST": f"{access.url}/api/v2",  # the same for Neon's own command line
        "HTTPS_PROXY": access.url,
        "SSL_CERT_FILE": str(access.ca_file),
        "NO_PROXY": "127.0.0.1,localhost",
        "PULUMI_BACKEND_URL": (data / "pulumi").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "emulator",
        "NEON_EMULATOR_DATA": str(data),
    }


def as_shell(found: dict[str, str]) -> str:
    """Lines for eval or `.`, in any shell that is POSIX's."""
    unset = f"unset {' '.join(UNSET)}\n"
    return unset + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in found.items())
