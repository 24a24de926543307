-- What is sent as ai_service, by chatdb on asyncpg; parameters are $1, $2 …, and no value is kept.
-- Not written by hand: docs/queries.md. When it is out of date:
--   ./inv test -- --write-queries tests/product/clients/test_catalogues.py

-- name: chatdb.consents.grant 1
-- from: chatdb.consents.grant, chatdb.consents.revoke
WITH turn AS (
    UPDATE "Thread" SET "activeScopeKeys" = CASE
        WHEN NOT $3 THEN array_remove("activeScopeKeys", $2)
        WHEN $2 = ANY ("activeScopeKeys") THEN "activeScopeKeys"
        ELSE array_append("activeScopeKeys", $2)
    END
    WHERE "id" = $1 AND xmin = (SELECT xmin FROM "Thread" WHERE "id" = $1)
    RETURNING "id"
)
INSERT INTO "ScopeConsent" ("threadId", "scopeKey", "granted", "createdAt")
SELECT turn."id", $2, $3, greatest(
    date_trunc('milliseconds', clock_timestamp()),
    (SELECT max("createdAt") + interval '1 millisecond' FROM "ScopeConsent" WHERE "threadId" = $1 AND "scopeKey" = $2)
)
FROM turn
RETURNING "id", "threadId", "scopeKey", "granted", "createdAt";

-- name: chatdb.consents.grant 2
-- from: chatdb.consents.grant, chatdb.consents.revoke
SELECT "id" FROM "Thread" WHERE "id" = $1 FOR NO KEY UPDATE;

-- name: chatdb.consents.history
-- from: chatdb.consents.history
-- null: $2
SELECT "id", "threadId", "scopeKey", "granted", "createdAt"
FROM "ScopeConsent" WHERE "threadId" = $1 AND ($2::text IS NULL OR "scopeKey" = $2)
ORDER BY "createdAt", "id";

-- name: chatdb.consents.is_granted
-- from: chatdb.consents.is_granted
SELECT "granted" FROM "ScopeConsent" WHERE "threadId" = $1 AND "scopeKey" = $2 ORDER BY "createdAt" DESC LIMIT 1;

-- name: chatdb.consents.state
-- from: chatdb.consents.state
SELECT DISTINCT ON ("scopeKey") "id", "threadId", "scopeKey", "granted", "createdAt"
FROM "ScopeConsent" WHERE "threadId" = $1
ORDER BY "scopeKey" DESC, "createdAt" DESC;

-- name: chatdb.messages.append
-- from: chatdb.messages.append
-- null: $4, $5, $6, $7, $8, $9, $10
WITH turn AS (
    UPDATE "Thread" SET "model" = "model"
    WHERE "id" = $1 AND xmin = (SELECT xmin FROM "Thread" WHERE "id" = $1)
    RETURNING "id"
)

INSERT INTO "Message" (
    "threadId", "role", "content", "name", "toolCallId", "toolCalls", "provider", "model", "usage", "metaJson",
    "createdAt"
)

SELECT "id", $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9::text::jsonb, $10::text::jsonb, greatest(
    date_trunc('milliseconds', clock_timestamp()),
    (SELECT max("createdAt") + interval '1 millisecond' FROM "Message" WHERE "threadId" = $1)
) FROM turn
RETURNING "id", "threadId", "createdAt", "toolCalls", "usage", "metaJson";

-- name: chatdb.messages.append_many
-- from: chatdb.messages.append_many
WITH turn AS (
    UPDATE "Thread" SET "model" = "model"
    WHERE "id" = $1 AND xmin = (SELECT xmin FROM "Thread" WHERE "id" = $1)
    RETURNING "id"
)
, start AS MATERIALIZED (SELECT "id", greatest(
    date_trunc('milliseconds', clock_timestamp()),
    (SELECT max("createdAt") + interval '1 millisecond' FROM "Message" WHERE "threadId" = $1)
) AS instant FROM turn)
INSERT INTO "Message" (
    "threadId", "role", "content", "name", "toolCallId", "toolCalls", "provider", "model", "usage", "metaJson",
    "createdAt"
)

SELECT start."id", each.role, each.content, each.name, each.tool_call_id, each.tool_calls::jsonb, each.provider,
    each.model, each.usage::jsonb, each.meta_json::jsonb, start.instant + (each.number - 1) * interval '1 millisecond'
FROM start, unnest(
    $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[]
) WITH ORDINALITY AS each (
    role, content, name, tool_call_id, tool_calls, provider, model, usage, meta_json, number
)
RETURNING "id", "threadId", "role", "content", "name", "toolCallId", "toolCalls", "provider", "model", "usage",
    "metaJson", "createdAt";

-- name: chatdb.messages.history
-- from: chatdb.messages.history
SELECT "id", "threadId", "role", "content", "name", "toolCallId", "toolCalls", "provider", "model", "usage", "metaJson",
    "createdAt"
FROM "Message"
WHERE "threadId" = $1 AND ("createdAt", "id") > ($2, $3)
ORDER BY "createdAt"
FETCH FIRST ($4) ROWS WITH TIES;

-- name: chatdb.messages.recent
-- from: chatdb.messages.recent
SELECT "id", "threadId", "role", "content", "name", "toolCallId", "toolCalls", "provider", "model", "usage", "metaJson",
    "createdAt"
FROM "Message"
WHERE "threadId" = $1 AND ("createdAt", "id") < ($2, $3)
ORDER BY "createdAt" DESC
FETCH FIRST ($4) ROWS WITH TIES;

-- name: chatdb.threads.active_scopes
-- from: chatdb.threads.active_scopes
SELECT "activeScopeKeys" FROM "Thread" WHERE "id" = $1;

-- name: chatdb.threads.create
-- from: chatdb.threads.create
-- null: $1, $2
INSERT INTO "Thread" ("userId", "model", "activeScopeKeys") VALUES ($1, $2, $3)
RETURNING "id", "createdAt", "userId", "model", "activeScopeKeys";

-- name: chatdb.threads.delete
-- from: chatdb.threads.delete
DELETE FROM "Thread" WHERE "id" = $1 RETURNING "id";

-- name: chatdb.threads.get
-- from: chatdb.threads.get
SELECT "id", "createdAt", "userId", "model", "activeScopeKeys" FROM "Thread" WHERE "id" = $1;

-- name: chatdb.threads.of_user
-- from: chatdb.threads.of_user
SELECT "id", "createdAt", "userId", "model", "activeScopeKeys"
FROM "Thread"
WHERE "userId" = $1 AND ("createdAt", "id") < ($2, $3)
ORDER BY "createdAt" DESC
FETCH FIRST ($4) ROWS WITH TIES;

-- name: chatdb.threads.set_active_scopes
-- from: chatdb.threads.set_active_scopes
UPDATE "Thread" SET "activeScopeKeys" = $2 WHERE "id" = $1 RETURNING "activeScopeKeys";

-- name: chatdb.usage.of_thread
-- from: chatdb.usage.of_thread
WITH used AS (
    SELECT "provider", "model", "usage" FROM "Message" WHERE "threadId" = $1 AND jsonb_typeof("usage") = 'object'
)

, sums AS (
    SELECT used."provider", used."model", field.key, sum((field.value #>> '{}')::numeric) AS total
    FROM used, jsonb_each(used."usage") AS field
    WHERE jsonb_typeof(field.value) = 'number'
    GROUP BY used."provider", used."model", field.key
)
SELECT used."provider", used."model", count(*) AS messages, (
    SELECT coalesce(jsonb_object_agg(sums.key, sums.total), '{}')
    FROM sums
    WHERE (sums."provider", sums."model") IS NOT DISTINCT FROM (used."provider", used."model")
) AS totals
FROM used
GROUP BY used."provider", used."model"
ORDER BY used."provider", used."model";

-- name: chatdb.usage.of_user
-- from: chatdb.usage.of_user
WITH used AS (
    SELECT message."provider", message."model", message."usage"
    FROM "Thread" AS thread JOIN "Message" AS message ON message."threadId" = thread."id"
    WHERE thread."userId" = $1 AND message."createdAt" >= $2 AND message."createdAt" < $3
      AND jsonb_typeof(message."usage") = 'object'
)

, sums AS (
    SELECT used."provider", used."model", field.key, sum((field.value #>> '{}')::numeric) AS total
    FROM used, jsonb_each(used."usage") AS field
    WHERE jsonb_typeof(field.value) = 'number'
    GROUP BY used."provider", used."model", field.key
)
SELECT used."provider", used."model", count(*) AS messages, (
    SELECT coalesce(jsonb_object_agg(sums.key, sums.total), '{}')
    FROM sums
    WHERE (sums."provider", sums."model") IS NOT DISTINCT FROM (used."provider", used."model")
) AS totals
FROM used
GROUP BY used."provider", used."model"
ORDER BY used."provider", used."model";
