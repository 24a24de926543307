-- What both clients can read: the rows that were there before
-- depends: 0005_what_both_clients_can_read

-- A null is no key, and keys in several dimensions are the same keys in one. An instant that only one client can read
-- becomes the nearest that both can. On most databases these find nothing: they read each table once, and stop nobody.
-- lint: ignore whole-table-change (rows that only one client could read: none, or a few)
UPDATE "Thread"
SET "activeScopeKeys" = ARRAY(
    SELECT each.key FROM unnest("activeScopeKeys") WITH ORDINALITY AS each (key, number)
    WHERE each.key IS NOT NULL ORDER BY each.number
)
WHERE array_ndims("activeScopeKeys") > 1 OR EXISTS (SELECT FROM unnest("activeScopeKeys") AS key WHERE key IS NULL);

-- lint: ignore whole-table-change (rows that only one client could read: none, or a few)
UPDATE "Thread"
SET "createdAt" = greatest(least("createdAt", to_timestamp(253402300799.999)), to_timestamp(-62135596800))
WHERE NOT ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800));

-- lint: ignore whole-table-change (rows that only one client could read: none, or a few)
UPDATE "Message"
SET "createdAt" = greatest(least("createdAt", to_timestamp(253402300799.999)), to_timestamp(-62135596800))
WHERE NOT ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800));

-- lint: ignore whole-table-change (rows that only one client could read: none, or a few)
UPDATE "ScopeConsent"
SET "createdAt" = greatest(least("createdAt", to_timestamp(253402300799.999)), to_timestamp(-62135596800))
WHERE NOT ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800));

-- Reads all rows, under a lock that lets services read and write.
ALTER TABLE "Thread" VALIDATE CONSTRAINT "Thread_activeScopeKeys_check";
ALTER TABLE "Thread" VALIDATE CONSTRAINT "Thread_createdAt_check";
ALTER TABLE "Message" VALIDATE CONSTRAINT "Message_createdAt_check";
ALTER TABLE "ScopeConsent" VALIDATE CONSTRAINT "ScopeConsent_createdAt_check";
