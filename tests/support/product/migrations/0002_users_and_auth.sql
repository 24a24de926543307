-- Users, what Auth.js keeps about them, and threads that belong to a user
-- depends: 0001_threads_and_messages

CREATE TABLE "User" (
    "id"            text NOT NULL,
    "name"          text,
    "email"         text,
    "emailVerified" timestamptz(3),
    "image"         text,
    "createdAt"     timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "User_email_key" ON "User" ("email");

CREATE TABLE "Account" (
    "userId"            text NOT NULL,
    "type"              text NOT NULL,
    "provider"          text NOT NULL,
    "providerAccountId" text NOT NULL,
    "refresh_token"     text,
    "access_token"      text,
    "expires_at"        integer,
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

CREATE TABLE "VerificationToken" (
    "identifier" text NOT NULL,
    "token"      text NOT NULL,
    "expires"    timestamptz(3) NOT NULL,
    CONSTRAINT "VerificationToken_pkey" PRIMARY KEY ("identifier", "token")
);

-- lint: ignore adding-foreign-key-constraint (a new column without a default is null in every row: nothing is read)
ALTER TABLE "Thread"
    ADD COLUMN "userId" text
    CONSTRAINT "Thread_userId_fkey" REFERENCES "User" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- lint: ignore require-concurrent-index-creation (the table is as new as this file, and empty)
CREATE INDEX "Thread_userId_createdAt_idx" ON "Thread" ("userId", "createdAt");
