-- Undo: what both clients can read

ALTER TABLE "ScopeConsent" DROP CONSTRAINT "ScopeConsent_createdAt_check";
ALTER TABLE "Message" DROP CONSTRAINT "Message_createdAt_check";
ALTER TABLE "Thread" DROP CONSTRAINT "Thread_createdAt_check";
ALTER TABLE "Thread" DROP CONSTRAINT "Thread_activeScopeKeys_check";
