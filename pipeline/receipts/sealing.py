"""A receipt in a file: the statement as it is, or in a signed DSSE envelope; and what is read of it again.

Every statement carries its own digest, so that a file which was edited or cut off is seen. Whoever edits it on purpose makes
another digest: only a signature is proof against that. It is Ed25519 over DSSE's pre-authentication encoding, and is asked for
as soon as the repository has a public key (docs/receipts.md).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import asdict, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import Refused
from pipeline.receipts.receipt import Receipt, parse_statement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.receipts.document import Statement

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
SIGNING_KEY: Final = "REHEARSAL_SIGNING_KEY"
PUBLIC_KEY: Final = "rehearsal.pub"
AGAIN: Final = "Nothing was changed. Rehearse it: "


def with_digest(statement: Statement) -> Statement:
    """The statement with its own digest in it."""
    digest = {"sha256": _digest_of(asdict(statement))}
    return replace(statement, predicate=replace(statement.predicate, digest=digest))


def seal(statement: Statement, root: Path, environ: Mapping[str, str]) -> str:
    """The text of a receipt's file: signed where the environment has a key.

    Raises:
        ConfigurationError: the key cannot be used, or is not the one of the repository's public key.
    """
    content = asdict(statement)
    pem = environ.get(SIGNING_KEY, "").strip()
    if not pem:
        return json.dumps(content, indent=2) + "\n"
    from pipeline.receipts.signatures import sign

    payload = _canonical(content)
    signature = sign(_pre_authentication(payload), pem, root / PUBLIC_KEY)
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": signature.key_id, "sig": base64.b64encode(signature.value).decode()}],
    }
    return json.dumps(envelope, indent=2) + "\n"


def read_receipt(path: Path, root: Path, *, rehearse: str) -> Receipt:
    """Read a receipt's file. `rehearse` is the command that makes another one, for the remedy.

    Raises:
        Refused: there is none, it is none, it was changed since, or the signature that the repository asks for is not there
            or not right.
    """
    where = shown(path, root)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Refused("there is no receipt", where=where, remedy=AGAIN + rehearse) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"the receipt cannot be read: {type(error).__name__}", where=where, remedy=AGAIN + rehearse
        ) from None
    try:
        return _open(text, root / PUBLIC_KEY)
    except _NotAReceipt as why:
        raise Refused(str(why), where=where, remedy=AGAIN + rehearse) from None


class _NotAReceipt(ValueError):
    """Why a text is not taken for a receipt."""


def _open(text: str, public_key: Path) -> Receipt:
    content = _json(text)
    signed = isinstance(content, dict) and "payloadType" in content
    if signed:
        payload, signatures = _unwrapped(content)
        if public_key.is_file():
            _verify(payload, signatures, public_key)
        content = _json(payload.decode("utf-8", "replace"))
    elif public_key.is_file():
        raise _NotAReceipt(f"the receipt is not signed, and {public_key.name} asks for a signature")
    try:
        receipt = parse_statement(content)
    except (KeyError, TypeError, ValueError) as error:
        raise _NotAReceipt(f"this is no receipt of a rehearsal: {_told(error)}") from None
    if receipt.digest != _digest_of(content):
        raise _NotAReceipt("the receipt was changed since it was written: its digest is another")
    return replace(receipt, text=text)


def _verify(payload: bytes, signatures: list[bytes], public_key: Path) -> None:
    from pipeline.receipts.signatures import is_signed

    if not is_signed(_pre_authentication(payload), signatures, public_key):
        raise _NotAReceipt(f"the receipt's signature is not one of {public_key.name}")


def _unwrapped(envelope: Mapping[str, Any]) -> tuple[bytes, list[bytes]]:
    """The payload of an envelope, and its signatures."""
    try:
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise _NotAReceipt(f"the envelope holds something else than {PAYLOAD_TYPE}")
        payload = base64.b64decode(envelope["payload"], validate=True)
        return payload, [base64.b64decode(each["sig"], validate=True) for each in envelope["signatures"]]
    except (KeyError, TypeError, binascii.Error):
        raise _NotAReceipt("this is no DSSE envelope") from None


def _pre_authentication(payload: bytes) -> bytes:
    """What is signed: DSSE's PAE, by which no payload of one type passes for one of another."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _digest_of(content: Any) -> str:
    """The digest of a statement: over all of it but the digest itself."""
    predicate = {name: value for name, value in content["predicate"].items() if name != "digest"}
    return sha256(_canonical({**content, "predicate": predicate})).hexdigest()


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise _NotAReceipt("the receipt is no JSON") from None


def _told(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)


def shown(path: Path, root: Path) -> str:
    """The file as people find it: from the checkout, where it is in there."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
