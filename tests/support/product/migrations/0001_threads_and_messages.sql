-- Threads and their messages

CREATE TABLE "Thread" (
    "id"              uuid NOT NULL DEFAULT gen_random_uuid(),
    "createdAt"       timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "model"           text,
    "activeScopeKeys" text[] NOT NULL DEFAULT ARRAY[]::text[],
    CONSTRAINT "Thread_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Message" (
    "id"         uuid NOT NULL DEFAULT gen_random_uuid(),
    "threadId"   uuid NOT NULL,
    "role"       text NOT NULL,
    "content"    text NOT NULL,
    "name"       text,
    "toolCallId" text,
    "toolCalls"  jsonb,
    "provider"   text,
    "model"      text,
    "usage"      jsonb,
    "metaJson"   jsonb,
    "createdAt"  timestamptz(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Message_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Message_threadId_fkey" FOREIGN KEY ("threadId") REFERENCES "Thread" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "Message_role_check" CHECK ("role" IN ('human', 'ai', 'tool', 'system'))
);

-- Serves the history of a thread in order, without a sort.
CREATE INDEX "Message_threadId_createdAt_idx" ON "Message" ("threadId", "createdAt");
