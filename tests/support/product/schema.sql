-- The desired schema of a database that the pipeline's tests work on: edit this file, then run `./inv migrate --name what_changed`,
-- which writes the migration that gets there. docs/schema.md explains every table.
--
-- Not here, on purpose: roles and grants (roles belong to the server, and a grant names one: migrations/ makes both),
-- and the history of migrations, which has a schema of its own.
--
-- Names are Prisma's: quoted camelCase, and for indexes and constraints what Prisma would call them. A uniqueness is
-- an index, not a constraint, because that is what Prisma makes. Instants are timestamptz(3): a JavaScript Date holds
-- milliseconds, and a service that read a finer instant could not ask for it again.


-- People, in the shape of Auth.js's Prisma adapter -----------------------------------------------------------------

CREATE TABLE "User" (
    "id"            text NOT NULL,          -- made by the server's Prisma client, so it has no default here
    "name"          text,
    "email"         text,                   -- some sign-in providers give none
    "emailVerified" timestamptz(3),
    "image"         text,
    "createdAt"     timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "User_email_key" ON "User" ("email");

-- One row for each way in which a person signs in.
CREATE TABLE "Account" (
    "userId"            text NOT NULL,
    "type"              text NOT NULL,
    "provider"          text NOT NULL,
    "providerAccountId" text NOT NULL,
    "refresh_token"     text,               -- these names are OAuth's own, and the adapter's
    "access_token"      text,
    "expires_at"        integer,            -- seconds since 1970, as OAuth gives it
    "token_type"        text,
    "scope"             text,
    "id_token"          text,
    "session_state"     text,
    CONSTRAINT "Account_pkey" PRIMARY KEY ("provider", "providerAccountId"),
    CONSTRAINT "Account_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE INDEX "Account_userId_idx" ON "Account" ("userId");

CREATE TABLE "Session" (
    "sessionToken" text NOT NULL,
    "userId"       text NOT NULL,
    "expires"      timestamptz(3) NOT NULL,
    CONSTRAINT "Session_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE UNIQUE INDEX "Session_sessionToken_key" ON "Session" ("sessionToken");
CREATE INDEX "Session_userId_idx" ON "Session" ("userId");

-- A link sent by e-mail, used once.
CREATE TABLE "VerificationToken" (
    "identifier" text NOT NULL,
    "token"      text NOT NULL,
    "expires"    timestamptz(3) NOT NULL,
    CONSTRAINT "VerificationToken_pkey" PRIMARY KEY ("identifier", "token")
);


-- Conversations ----------------------------------------------------------------------------------------------------

-- Two clients share these tables, and a value that only one of them can read breaks the other's look at a whole thread.
-- So instants are of the years 1 to 9999 (Python knows no others; the bounds are seconds since 1970, which read the same
-- in every time zone), and a list of keys is a plain list without nulls.

CREATE TABLE "Thread" (
    "id"              uuid NOT NULL DEFAULT gen_random_uuid(),
    "createdAt"       timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "userId"          text,                 -- a service may create a thread with no data at all
    "model"           text,
    "activeScopeKeys" text[] NOT NULL DEFAULT ARRAY[]::text[],
    CONSTRAINT "Thread_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Thread_createdAt_check" CHECK ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800)),
    CONSTRAINT "Thread_activeScopeKeys_check"
        CHECK (coalesce(array_ndims("activeScopeKeys"), 1) = 1 AND array_position("activeScopeKeys", NULL) IS NULL),
    CONSTRAINT "Thread_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE
);

-- A person's threads, newest first.
CREATE INDEX "Thread_userId_createdAt_idx" ON "Thread" ("userId", "createdAt");

CREATE TABLE "Message" (
    "id"         uuid NOT NULL DEFAULT gen_random_uuid(),
    "threadId"   uuid NOT NULL,
    "role"       text NOT NULL,
    "content"    text NOT NULL,
    "name"       text,
    "toolCallId" text,                      -- on a tool's answer: the call that it answers
    "toolCalls"  jsonb,                     -- on an ai message: the calls that it asks for
    "provider"   text,
    "model"      text,
    "usage"      jsonb,
    "metaJson"   jsonb,
    "createdAt"  timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Message_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Message_threadId_fkey" FOREIGN KEY ("threadId") REFERENCES "Thread" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "Message_role_check" CHECK ("role" IN ('human', 'ai', 'tool', 'system')),
    CONSTRAINT "Message_createdAt_check" CHECK ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800))
);

-- The history of a thread, in order, without a sort.
CREATE INDEX "Message_threadId_createdAt_idx" ON "Message" ("threadId", "createdAt");

-- Every grant and withdrawal of a scope in a thread. Rows are only ever added; the newest of a scope is in force.
CREATE TABLE "ScopeConsent" (
    "id"        uuid NOT NULL DEFAULT gen_random_uuid(),
    "threadId"  uuid NOT NULL,
    "scopeKey"  text NOT NULL,
    "granted"   boolean NOT NULL,
    "createdAt" timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "ScopeConsent_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "ScopeConsent_threadId_fkey" FOREIGN KEY ("threadId") REFERENCES "Thread" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "ScopeConsent_createdAt_check" CHECK ("createdAt" >= to_timestamp(-62135596800) AND "createdAt" < to_timestamp(253402300800))
);

-- The newest row of a scope, without a sort.
CREATE INDEX "ScopeConsent_threadId_scopeKey_createdAt_idx"
    ON "ScopeConsent" ("threadId", "scopeKey", "createdAt");
