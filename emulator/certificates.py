"""The emulator's own certificate authority, and certificates for console.neon.tech and for the front doors."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256

if TYPE_CHECKING:
    from pathlib import Path

API_HOST = "console.neon.tech"


@dataclass(frozen=True)
class ServerTls:
    """How a server speaks TLS, and what a client that binds its password to the channel must have seen.

    A client that names a host of the pooler (SNI) is handed over to `of_pooler`, by which it is known afterwards.
    """

    context: ssl.SSLContext
    of_pooler: ssl.SSLContext
    end_point: bytes


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

    def issue(self, *names: str) -> ServerTls:
        """A server's certificate, for these host names or addresses."""
        certificate = self._authority.issue_cert(*names)
        context, of_pooler = (_context(certificate) for _ in range(2))

        def route(client: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
            if name is not None and name.partition(".")[0].endswith("-pooler"):
                client.context = of_pooler

        context.sni_callback = route
        return ServerTls(context, of_pooler, tls_server_end_point(certificate.cert_chain_pems[0].bytes()))


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate.configure_cert(context)
    return context


def tls_server_end_point(pem: bytes) -> bytes:
    """The channel binding of a server's certificate (RFC 5929, section 4.1): its hash, by its signature's own function.

    MD5 and SHA-1 give way to SHA-256 there. For a signature without one function the RFC has no answer: ValueError.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    function = certificate.signature_hash_algorithm
    if function is None:
        raise ValueError("a certificate whose signature has no hash function cannot be bound to")
    return certificate.fingerprint(SHA256() if isinstance(function, MD5 | SHA1) else function)
