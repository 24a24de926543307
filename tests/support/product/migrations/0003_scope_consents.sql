-- Consents: who may read what in a thread, as a record that is only added to
-- depends: 0002_users_and_auth

CREATE TABLE "ScopeConsent" (
    "id"        uuid NOT NULL DEFAULT gen_random_uuid(),
    "threadId"  uuid NOT NULL,
    "scopeKey"  text NOT NULL,
    "granted"   boolean NOT NULL,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "ScopeConsent_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "ScopeConsent_threadId_fkey" FOREIGN KEY ("threadId") REFERENCES "Thread" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE INDEX "ScopeConsent_threadId_scopeKey_createdAt_idx"
    ON "ScopeConsent" ("threadId", "scopeKey", "createdAt");
