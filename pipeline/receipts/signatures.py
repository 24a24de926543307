"""Ed25519, by the package cryptography, which is installed and imported only where something is signed or verified."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pipeline import packages
from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_VARIABLE: Final = "REHEARSAL_SIGNING_KEY"
_MAKE: Final = "openssl genpkey -algorithm ed25519 makes one (docs/receipts.md)"
_BLOCK: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature, and the SHA-256 of the public key that it is verified with."""

    value: bytes
    key_id: str


def sign(message: bytes, pem: str, public_key: Path) -> Signature:
    """Sign a message with a private key in PEM. Where the repository has public keys, it has to be that of one of them.

    Raises:
        ConfigurationError: it is no Ed25519 key, or of another pair. The message never has the key in it.
    """
    packages.ensure("signing")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigurationError(
            f"{_VARIABLE} is no private key of Ed25519 in PEM without a passphrase", remedy=f"{_MAKE}."
        )
    public = private.public_key()
    if public_key.is_file() and not any(each == public for each in _public_keys(public_key)):
        raise ConfigurationError(
            f"{_VARIABLE} is not of the pair of {public_key.name}: every deploy would refuse the receipt",
            where=public_key.name,
            remedy="Give the key that belongs to it, or commit the public key of this one (docs/receipts.md).",
        )
    return Signature(private.sign(message), sha256(public.public_bytes_raw()).hexdigest())


def is_signed(message: bytes, signatures: list[bytes], public_key: Path) -> bool:
    """Tell whether one of the signatures is right by one of the public keys in a file.

    Raises:
        ConfigurationError: the file has no such key.
    """
    packages.ensure("signing")
    from cryptography.exceptions import InvalidSignature

    for key in _public_keys(public_key):
        for signature in signatures:
            try:
                key.verify(signature, message)
            except InvalidSignature:
                continue
            return True
    return False


def _public_keys(file: Path) -> Iterator[Ed25519PublicKey]:
    """The keys of a file: more than one while a pair is replaced by another."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        blocks = _BLOCK.findall(file.read_bytes())
        keys = [load_pem_public_key(block) for block in blocks]
    except (OSError, ValueError, UnsupportedAlgorithm):
        keys = []
    if not keys or not all(isinstance(key, Ed25519PublicKey) for key in keys):
        raise ConfigurationError(
            "it holds no public key of Ed25519 in PEM",
            where=file.name,
            remedy=f"Nothing was changed. {_MAKE}; without the file no receipt has to be signed.",
        )
    yield from (key for key in keys if isinstance(key, Ed25519PublicKey))
