"""The emulator's own certificate authority, and certificates for console.neon.tech and for the front doors."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path

API_HOST = "console.neon.tech"


class Certificates:
    """An authority kept in `folder` (ca.pem, ca.key), so clients that trust it go on doing so after a restart."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        key_file = folder / "ca.key"
        if self.ca_file.exists() and key_file.exists():
            self._authority = trustme.CA.from_pem(self.ca_file.read_bytes(), key_file.read_bytes())
        else:
            self._authority = trustme.CA(organization_name="Neon emulator")
            descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._authority.private_key_pem.bytes())
            self._authority.cert_pem.write_to_path(self.ca_file)

    def context(self, *names: str) -> ssl.SSLContext:
        """A server's TLS context, for these host names or addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._authority.issue_cert(*names).configure_cert(context)
        return context
