-- Rows that a careless change would lose.
INSERT INTO "User" ("id", "name", "email") SELECT n::text, 'person ' || n, n || '@example.org' FROM generate_series(1, 20) n;
INSERT INTO "Thread" ("userId", "model") SELECT (n % 20 + 1)::text, 'model ' || n % 3 FROM generate_series(1, 60) n;
INSERT INTO "Message" ("threadId", "role", "content", "name", "model")
    SELECT "id", 'human', 'content of ' || "id", 'somebody', "model" FROM "Thread";
INSERT INTO "Note" ("messageId", "mood", "title", "stars", "price", "email", "state", "at", "tags", "code")
    SELECT "id", 'sad', 'a title', 3, 12.50, 'somebody@example.org', 'new', "createdAt", ARRAY['a', 'b'], "id"::text FROM "Message";
INSERT INTO "Event" SELECT '2026-05-05', 'kind ' || n, n::text FROM generate_series(1, 10) n;
INSERT INTO "Account" ("userId", "type", "provider", "providerAccountId", "expires_at")
    SELECT "id", 'oauth', 'somewhere', "id", 1700000000 FROM "User";
INSERT INTO "Ticket" ("rank", "during")
    SELECT n, tsrange('2026-01-01'::timestamp + n * interval '1 day', '2026-01-02'::timestamp + n * interval '1 day')
      FROM generate_series(1, 30) n;
INSERT INTO "Stub" SELECT "id" FROM "Ticket";
DELETE FROM "Stub" WHERE "ticketId" > 25;
DELETE FROM "Ticket" WHERE "id" > 25;
INSERT INTO "VerificationToken" VALUES ('somebody@example.org', 'a token', '2026-05-05');
REFRESH MATERIALIZED VIEW "NoteCount";
