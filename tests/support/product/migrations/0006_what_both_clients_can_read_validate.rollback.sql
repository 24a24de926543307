-- Undo: what both clients can read: the rows that were there before
--
-- The constraints become unproven again; what was written into rows stays as it is.

ALTER TABLE "ScopeConsent" DROP CONSTRAINT "ScopeConsent_createdAt_check";
ALTER TABLE "ScopeConsent"
    ADD CONSTRAINT "ScopeConsent_createdAt_check"
    CHECK ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800)) NOT VALID;

ALTER TABLE "Message" DROP CONSTRAINT "Message_createdAt_check";
ALTER TABLE "Message"
    ADD CONSTRAINT "Message_createdAt_check"
    CHECK ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800)) NOT VALID;

ALTER TABLE "Thread" DROP CONSTRAINT "Thread_createdAt_check";
ALTER TABLE "Thread"
    ADD CONSTRAINT "Thread_createdAt_check"
    CHECK ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800)) NOT VALID;

ALTER TABLE "Thread" DROP CONSTRAINT "Thread_activeScopeKeys_check";
ALTER TABLE "Thread"
    ADD CONSTRAINT "Thread_activeScopeKeys_check"
    CHECK (coalesce(array_ndims("activeScopeKeys"), 1) = 1 AND array_position("activeScopeKeys", NULL) IS NULL) NOT VALID;
