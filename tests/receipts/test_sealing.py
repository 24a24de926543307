"""A receipt is written and read again; one that was changed, cut off or not signed is none."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pipeline import packages
from pipeline.errors import ConfigurationError, Refused
from pipeline.receipts.document import Statement
from pipeline.receipts.receipt import LIFETIME, default_path
from pipeline.receipts.sealing import PUBLIC_KEY, SIGNING_KEY, read_receipt
from pipeline.rehearsal.receipt import keep_receipt, statement_of
from tests.receipts.rehearsed import NOW, failed, rehearsal
from verbs.reference import json_schema

if TYPE_CHECKING:
    from pipeline.receipts.receipt import Receipt

REHEARSE = "./inv rehearse --env prod"
Pair = tuple[str, bytes]


@pytest.fixture(autouse=True)
def nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' environment has cryptography already."""
    monkeypatch.setattr(packages, "ensure", lambda *_: None)


def make_pair() -> Pair:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read(path: Path, root: Path) -> Receipt:
    return read_receipt(path, root, rehearse=REHEARSE)


def test_what_a_rehearsal_found_is_read_back_from_its_file(tmp_path: Path) -> None:
    path = keep_receipt(rehearsal(), tmp_path, environ={})
    assert path == default_path(tmp_path, "prod") == tmp_path / ".local" / "rehearsals" / "prod.json"
    found = read(path, tmp_path)
    assert (found.result, found.environment, found.project_id, found.branch_id) == (
        "PASSED",
        "prod",
        "quiet-sea-1",
        "br-1",
    )
    assert found.failed == ()
    assert found.checksums == {"0002_more": "b" * 64, "0003_last": "c" * 64}
    assert (found.history, found.schema, found.schemas) == ("1" * 64, "2" * 64, {"0002_more": "e" * 64})
    assert (found.created, found.expires) == (NOW, NOW + LIFETIME)
    assert found.destroyed == {"0002_more": 18}
    assert len(found.digest) == 64


@pytest.mark.parametrize("made", [rehearsal, failed, lambda: rehearsal(measured=None, verdict=None, crash=None)])
def test_the_statement_is_what_its_schema_says(made: Any) -> None:
    content = json.loads(_unsigned(made()))
    schema = json_schema(Statement)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema)
    assert content["_type"] == "https://in-toto.io/Statement/v1"
    names = [each["name"] for each in content["subject"]]
    assert names == ["0002_more.sql", "0003_last.sql", "repository"]


def _unsigned(found: Any) -> str:
    from dataclasses import asdict

    return json.dumps(asdict(statement_of(found, version="0")))


@pytest.mark.parametrize(
    ("found", "result", "passed", "warned", "failing"),
    [
        (rehearsal(verdict=None, compatibility=None, crash=None), "PASSED", ["apply", "measure"], [], []),
        (rehearsal(verdict=None), "PASSED", ["apply", "measure", "crash"], ["compatibility"], []),
        (failed(), "FAILED", ["crash"], ["budgets", "compatibility"], ["apply", "measure"]),
        (
            rehearsal(verdict=None, measured=None, crash=None, compatibility=None, not_measured=("no copy",)),
            "NOT_MEASURED",
            ["apply"],
            [],
            [],
        ),
    ],
)
def test_the_tests_have_the_names_of_what_was_looked_at(
    found: Any, result: str, passed: list[str], warned: list[str], failing: list[str]
) -> None:
    said = statement_of(found, version="0").predicate
    assert (said.result, said.passedTests, said.warnedTests, said.failedTests) == (result, passed, warned, failing)


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"result": "PASSED"', '"result": "FAILED"'),
        ('"branchId": "br-1"', '"branchId": "br-2"'),
        ('"checksum": "bbbb', '"checksum": "abbb'),
        ('"id": "0003_last"', '"id": "0004_last"'),
        ('"deleted": 3', '"deleted": 0'),
        ('"history": "11', '"history": "12'),
        ('"url": null', '"url": "https://example.org"'),
        ('"name": "0002_more.sql"', '"name": "0009_more.sql"'),
    ],
)
def test_a_receipt_that_was_edited_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = keep_receipt(rehearsal(), tmp_path, environ={})
    _edit(path, old, new)
    with pytest.raises(Refused, match="changed since it was written") as refused:
        read(path, tmp_path)
    assert refused.value.where == ".local/rehearsals/prod.json"
    assert refused.value.remedy == f"Nothing was changed. Rehearse it: {REHEARSE}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is no receipt"),
        ("", "no JSON"),
        ("[]", "no receipt of a rehearsal: it is no object"),
        ("{}", "it lacks '_type'"),
        (
            '{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1"}',
            "something else",
        ),
        ('{"payloadType": "text/plain", "payload": "", "signatures": []}', "the envelope holds something else"),
        ('{"payloadType": "application/vnd.in-toto+json", "payload": "%", "signatures": []}', "no DSSE envelope"),
    ],
)
def test_what_is_no_receipt_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "r.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Refused, match=re.escape(said)):
        read(path, tmp_path)


@pytest.mark.parametrize("length", [0.1, 0.5, 0.99])
def test_a_receipt_that_was_cut_off_is_refused(tmp_path: Path, length: float) -> None:
    path = keep_receipt(rehearsal(), tmp_path, environ={})
    text = path.read_text()
    path.write_text(text[: int(len(text) * length)])
    with pytest.raises(Refused, match="no JSON"):
        read(path, tmp_path)


def test_a_failed_one_that_was_edited_to_have_passed_is_refused(tmp_path: Path) -> None:
    path = keep_receipt(failed(), tmp_path, environ={})
    _edit(path, '"result": "FAILED"', '"result": "PASSED"')
    with pytest.raises(Refused, match="changed since it was written"):
        read(path, tmp_path)


def test_a_receipt_cannot_live_longer_than_a_day(tmp_path: Path) -> None:
    path = keep_receipt(rehearsal(), tmp_path, environ={})
    _edit(path, '"expires": "2026-11-28', '"expires": "2026-12-28')
    with pytest.raises(Refused, match="expires later"):
        read(path, tmp_path)


def test_a_signed_receipt_is_read_with_its_public_key_and_is_the_same(tmp_path: Path) -> None:
    private, public = make_pair()
    plain = read(keep_receipt(rehearsal(), tmp_path, environ={}), tmp_path)
    (tmp_path / PUBLIC_KEY).write_bytes(public)
    path = keep_receipt(rehearsal(), tmp_path, environ={SIGNING_KEY: private})
    envelope = json.loads(path.read_text())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert read(path, tmp_path) == plain
    assert private.splitlines()[1] not in path.read_text()


def test_with_a_public_key_an_unsigned_receipt_is_refused(tmp_path: Path) -> None:
    path = keep_receipt(rehearsal(), tmp_path, environ={})
    (tmp_path / PUBLIC_KEY).write_bytes(make_pair()[1])
    with pytest.raises(Refused, match=r"not signed, and rehearsal\.pub asks for a signature"):
        read(path, tmp_path)


def test_a_receipt_signed_by_another_key_is_refused(tmp_path: Path) -> None:
    path = keep_receipt(rehearsal(), tmp_path, environ={SIGNING_KEY: make_pair()[0]})
    (tmp_path / PUBLIC_KEY).write_bytes(make_pair()[1])
    with pytest.raises(Refused, match=r"signature is not one of rehearsal\.pub"):
        read(path, tmp_path)


def test_a_payload_that_was_changed_under_its_signature_is_refused(tmp_path: Path) -> None:
    private, public = make_pair()
    (tmp_path / PUBLIC_KEY).write_bytes(public)
    path = keep_receipt(rehearsal(), tmp_path, environ={SIGNING_KEY: private})
    envelope = json.loads(path.read_text())
    # what somebody who knows how the digest is made would write
    forged = keep_receipt(rehearsal(verdict=None), tmp_path, environ={}, path=tmp_path / "forged.json").read_text()
    envelope["payload"] = base64.b64encode(forged.encode()).decode()
    path.write_text(json.dumps(envelope))
    with pytest.raises(Refused, match="signature is not one of"):
        read(path, tmp_path)


def test_two_public_keys_are_taken_while_one_replaces_the_other(tmp_path: Path) -> None:
    old, new = make_pair(), make_pair()
    (tmp_path / PUBLIC_KEY).write_bytes(old[1] + new[1])
    for private, _ in (old, new):
        assert read(keep_receipt(rehearsal(), tmp_path, environ={SIGNING_KEY: private}), tmp_path).environment == "prod"


def test_a_key_of_another_pair_is_told_when_the_receipt_is_made(tmp_path: Path) -> None:
    (tmp_path / PUBLIC_KEY).write_bytes(make_pair()[1])
    with pytest.raises(ConfigurationError, match=r"not of the pair of rehearsal\.pub"):
        keep_receipt(rehearsal(), tmp_path, environ={SIGNING_KEY: make_pair()[0]})


def _rsa() -> str:
    key = generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("pem", ["no key at all", _rsa()], ids=["text", "rsa"])
def test_a_key_that_is_none_is_told_without_being_shown(tmp_path: Path, pem: str) -> None:
    with pytest.raises(ConfigurationError, match="no private key of Ed25519") as error:
        keep_receipt(rehearsal(), tmp_path, environ={SIGNING_KEY: pem})
    assert pem not in str(error.value)


def test_a_public_key_that_is_none_is_an_error_and_never_no_key(tmp_path: Path) -> None:
    path = keep_receipt(rehearsal(), tmp_path, environ={SIGNING_KEY: make_pair()[0]})
    (tmp_path / PUBLIC_KEY).write_text("")
    with pytest.raises(ConfigurationError, match="holds no public key"):
        read(path, tmp_path)


def test_a_pair_of_openssl_is_taken(tmp_path: Path) -> None:
    """By the lines of docs/receipts.md."""
    page = (Path(__file__).parents[2] / "docs" / "receipts.md").read_text()
    lines = re.findall(r"^    (openssl .+)$", page, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        subprocess.run(line.split(), cwd=tmp_path, check=True, capture_output=True)
    private = (tmp_path / "rehearsal.key").read_text()
    assert read(keep_receipt(rehearsal(), tmp_path, environ={SIGNING_KEY: private}), tmp_path).environment == "prod"
    # as an environment variable that cannot have line ends holds it
    one_line = private.strip().replace("\n", "\\n")
    assert read(keep_receipt(rehearsal(), tmp_path, environ={SIGNING_KEY: one_line}), tmp_path).environment == "prod"
