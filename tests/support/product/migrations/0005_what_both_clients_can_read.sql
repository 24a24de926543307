-- What both clients can read: plain lists of scope keys without nulls, and instants of the years 1 to 9999
-- depends: 0004_runtime_roles
--
-- A null among the keys, which asyncpg sends without a word, kept Prisma from reading the thread at all (P2023), and an
-- instant of the year 10000, which JavaScript has, kept Python from reading the whole history. The bounds are seconds
-- since 1970: they read the same in every time zone, so no comparison of two databases depends on one.

-- New rows are checked from here on. Those that are there follow in a later file, without stopping writers.
ALTER TABLE "Thread"
    ADD CONSTRAINT "Thread_activeScopeKeys_check"
    CHECK (coalesce(array_ndims("activeScopeKeys"), 1) = 1 AND array_position("activeScopeKeys", NULL) IS NULL) NOT VALID;

ALTER TABLE "Thread"
    ADD CONSTRAINT "Thread_createdAt_check"
    CHECK ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800)) NOT VALID;

ALTER TABLE "Message"
    ADD CONSTRAINT "Message_createdAt_check"
    CHECK ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800)) NOT VALID;

-- lint: ignore several-tables (each is locked for a moment: NOT VALID reads no row)
ALTER TABLE "ScopeConsent"
    ADD CONSTRAINT "ScopeConsent_createdAt_check"
    CHECK ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800)) NOT VALID;
