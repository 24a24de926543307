"""What pg_authid keeps of a password: SCRAM-SHA-256's verifier (RFC 5802, RFC 7677; PostgreSQL's documentation, pg_authid)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True)
class Verifier:
    """The salt and the two keys that a password was turned into. With them nobody can log in, only be checked."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    @classmethod
    def parse(cls, text: str | None) -> Verifier | None:
        """Read `rolpassword`; None where it is no such verifier, as for a role without a password."""
        try:
            mechanism, parameters, keys = (text or "").split("$")
            iterations, salt = parameters.split(":")
            stored_key, server_key = keys.split(":")
            found = cls(
                int(iterations), *(base64.b64decode(word, validate=True) for word in (salt, stored_key, server_key))
            )
        except ValueError:
            return None
        return found if mechanism == "SCRAM-SHA-256" else None

    def fits(self, password: str) -> bool:
        """Whether it was made from this password."""
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), self.salt, self.iterations)
        return hmac.compare_digest(
            hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest(), self.stored_key
        )
