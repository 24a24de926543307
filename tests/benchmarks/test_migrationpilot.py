"""The score of a corpus, over one of our own in its form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.migrationpilot import score, summary

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "/* ---\nid: {id}\nverdict: {verdict}\nhazards: [{hazards}]\n--- */\n\n"
NOT_NULL = """
BEGIN; ALTER TABLE seat ADD CONSTRAINT c CHECK (hall IS NOT NULL) NOT VALID; COMMIT;
BEGIN; ALTER TABLE seat VALIDATE CONSTRAINT c; COMMIT;
BEGIN; ALTER TABLE seat ALTER hall SET NOT NULL; COMMIT;
BEGIN; ALTER TABLE seat DROP CONSTRAINT c; COMMIT;
"""
CASES = {
    "a1": ("dangerous", "ddl-plus-backfill-same-txn",
           "BEGIN; ALTER TABLE seat ADD row_no int; UPDATE seat SET row_no = 1; COMMIT;"),
    "a2": ("dangerous", "unbatched-backfill", "SET statement_timeout = 0; UPDATE seat SET hall = upper(hall);"),
    "a3": ("dangerous", "multi-table-ddl-transaction",
           "BEGIN; ALTER TABLE hall ADD x int; ALTER TABLE seat ADD x int; ALTER TABLE film ADD x int; COMMIT;"),
    "a4": ("dangerous", "partition-attach", "ALTER TABLE show ATTACH PARTITION show_07 FOR VALUES FROM (1) TO (2);"),
    "a5": ("dangerous", "replication-identity-break", "ALTER TABLE seat DROP CONSTRAINT seat_pkey;"),
    "a6": ("dangerous", "concurrently-in-transaction", "BEGIN; CREATE INDEX CONCURRENTLY i ON seat (hall); COMMIT;"),
    "a7": ("dangerous", "enum-add-value-in-transaction",
           "BEGIN; ALTER TYPE state ADD VALUE 'sold'; UPDATE seat SET state = 'sold' WHERE id = 7; COMMIT;"),
    "a8": ("dangerous", "invalid-index-retry", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON seat (hall);"),
    "a9": ("dangerous", "missing-lock-timeout", "ALTER TABLE seat ADD COLUMN note text;"),
    "s1": ("safe", "", NOT_NULL),
    "s2": ("safe", "", "CREATE TABLE ticket (seat bigint REFERENCES seat); CREATE INDEX ticket_seat ON ticket (seat);"),
    "s3": ("safe", "", "UPDATE seat SET hall = 'x' WHERE id IN (SELECT id FROM seat WHERE hall IS NULL LIMIT 500);"),
    "s4": ("safe", "", "SET lock_timeout = '5s'; ALTER TABLE show DETACH PARTITION show_01 CONCURRENTLY;"),
}  # fmt: skip


def test_a_corpus_is_scored_with_each_miss_and_each_alarm_named(tmp_path: Path) -> None:
    folder = tmp_path / "bench" / "corpus" / "all"
    folder.mkdir(parents=True)
    for name, (verdict, hazards, text) in CASES.items():
        head = HEADER.format(id=name, verdict=verdict, hazards=hazards)
        (folder / f"{name}.sql").write_text(f"{head}{text}\n")
    told = summary(score(tmp_path))
    assert told == {
        "found": 8,
        "dangerous": 9,
        "false_alarms": 0,
        "safe": 4,
        "missed": {"a9": "missing-lock-timeout"},  # the runner sets it
        "missed_hazards": {},
        "alarms": {},
    }
