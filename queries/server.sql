-- What is sent as server, by Prisma's client; parameters are $1, $2 …, and no value is kept.
-- Not written by hand: docs/queries.md. When it is out of date:
--   ./inv test -- --write-queries tests/product/clients/test_catalogues.py

-- name: delete Account
-- from: tests/product/clients/programs/sign_in.ts
DELETE FROM "public"."Account" WHERE (("public"."Account"."provider" = $1 AND "public"."Account"."providerAccountId" = $2) AND 1=1) RETURNING "public"."Account"."provider", "public"."Account"."providerAccountId", "public"."Account"."userId", "public"."Account"."type", "public"."Account"."refresh_token", "public"."Account"."access_token", "public"."Account"."expires_at", "public"."Account"."token_type", "public"."Account"."scope", "public"."Account"."id_token", "public"."Account"."session_state";

-- name: delete Session
-- from: tests/product/clients/programs/sign_in.ts
DELETE FROM "public"."Session" WHERE ("public"."Session"."sessionToken" = $1 AND 1=1) RETURNING "public"."Session"."sessionToken", "public"."Session"."userId", "public"."Session"."expires";

-- name: delete Thread
-- from: tests/product/clients/programs/conversation.ts
DELETE FROM "public"."Thread" WHERE ("public"."Thread"."id" = $1 AND 1=1) RETURNING "public"."Thread"."id", "public"."Thread"."createdAt", "public"."Thread"."model", "public"."Thread"."activeScopeKeys", "public"."Thread"."userId";

-- name: delete User
-- from: tests/product/clients/programs/sign_in.ts
DELETE FROM "public"."User" WHERE ("public"."User"."id" = $1 AND 1=1) RETURNING "public"."User"."id", "public"."User"."name", "public"."User"."email", "public"."User"."emailVerified", "public"."User"."image", "public"."User"."createdAt";

-- name: delete VerificationToken
-- from: tests/product/clients/programs/sign_in.ts
DELETE FROM "public"."VerificationToken" WHERE (("public"."VerificationToken"."identifier" = $1 AND "public"."VerificationToken"."token" = $2) AND 1=1) RETURNING "public"."VerificationToken"."identifier", "public"."VerificationToken"."token", "public"."VerificationToken"."expires";

-- name: insert Account 1
-- from: tests/product/clients/programs/sign_in.ts
INSERT INTO "public"."Account" ("userId","type","provider","providerAccountId") VALUES ($1,$2,$3,$4) RETURNING "public"."Account"."provider", "public"."Account"."providerAccountId", "public"."Account"."userId", "public"."Account"."type", "public"."Account"."refresh_token", "public"."Account"."access_token", "public"."Account"."expires_at", "public"."Account"."token_type", "public"."Account"."scope", "public"."Account"."id_token", "public"."Account"."session_state";

-- name: insert Account 2
-- from: tests/product/clients/programs/sign_in.ts
INSERT INTO "public"."Account" ("userId","type","provider","providerAccountId","access_token","expires_at","token_type","scope") VALUES ($1,$2,$3,$4,$5,$6,$7,$8) RETURNING "public"."Account"."provider", "public"."Account"."providerAccountId", "public"."Account"."userId", "public"."Account"."type", "public"."Account"."refresh_token", "public"."Account"."access_token", "public"."Account"."expires_at", "public"."Account"."token_type", "public"."Account"."scope", "public"."Account"."id_token", "public"."Account"."session_state";

-- name: insert Message 1
-- from: tests/product/clients/programs/conversation.ts, tests/product/clients/programs/sign_in.ts
INSERT INTO "public"."Message" ("threadId","role","content","createdAt") VALUES ($1,$2,$3,$4) RETURNING "public"."Message"."id";

-- name: insert Message 2
-- from: examples/server/server.ts, tests/product/clients/programs/conversation.ts
INSERT INTO "public"."Message" ("threadId","role","content","createdAt") VALUES ($1,$2,$3,$4) RETURNING "public"."Message"."id", "public"."Message"."threadId", "public"."Message"."role", "public"."Message"."content", "public"."Message"."name", "public"."Message"."toolCallId", "public"."Message"."toolCalls", "public"."Message"."provider", "public"."Message"."model", "public"."Message"."usage", "public"."Message"."metaJson", "public"."Message"."createdAt";

-- name: insert Message 3
-- from: tests/product/clients/programs/conversation.ts
INSERT INTO "public"."Message" ("threadId","role","content","toolCalls","usage","metaJson","createdAt") VALUES ($1,$2,$3,$4,$5,$6,$7) RETURNING "public"."Message"."id", "public"."Message"."threadId", "public"."Message"."role", "public"."Message"."content", "public"."Message"."name", "public"."Message"."toolCallId", "public"."Message"."toolCalls", "public"."Message"."provider", "public"."Message"."model", "public"."Message"."usage", "public"."Message"."metaJson", "public"."Message"."createdAt";

-- name: insert ScopeConsent 1
-- from: tests/product/clients/programs/conversation.ts
INSERT INTO "public"."ScopeConsent" ("threadId","scopeKey","granted","createdAt") VALUES ($1,$2,$3,$4) RETURNING "public"."ScopeConsent"."id";

-- name: insert ScopeConsent 2
-- from: tests/product/clients/programs/conversation.ts
INSERT INTO "public"."ScopeConsent" ("threadId","scopeKey","granted","createdAt") VALUES ($1,$2,$3,$4) RETURNING "public"."ScopeConsent"."id", "public"."ScopeConsent"."threadId", "public"."ScopeConsent"."scopeKey", "public"."ScopeConsent"."granted", "public"."ScopeConsent"."createdAt";

-- name: insert Session
-- from: tests/product/clients/programs/sign_in.ts
INSERT INTO "public"."Session" ("sessionToken","userId","expires") VALUES ($1,$2,$3) RETURNING "public"."Session"."sessionToken", "public"."Session"."userId", "public"."Session"."expires";

-- name: insert Thread 1
-- from: tests/product/clients/programs/conversation.ts
INSERT INTO "public"."Thread" ("createdAt","activeScopeKeys") VALUES ($1,$2) RETURNING "public"."Thread"."id";

-- name: insert Thread 2
-- from: examples/server/server.ts, tests/product/clients/programs/conversation.ts
INSERT INTO "public"."Thread" ("createdAt","activeScopeKeys") VALUES ($1,$2) RETURNING "public"."Thread"."id", "public"."Thread"."createdAt", "public"."Thread"."model", "public"."Thread"."activeScopeKeys", "public"."Thread"."userId";

-- name: insert Thread 3
-- from: tests/product/clients/programs/sign_in.ts
INSERT INTO "public"."Thread" ("createdAt","activeScopeKeys","userId") VALUES ($1,$2,$3) RETURNING "public"."Thread"."id";

-- name: insert User
-- from: tests/product/clients/programs/sign_in.ts
-- null: $4
INSERT INTO "public"."User" ("id","name","email","emailVerified","image","createdAt") VALUES ($1,$2,$3,$4,$5,$6) RETURNING "public"."User"."id", "public"."User"."name", "public"."User"."email", "public"."User"."emailVerified", "public"."User"."image", "public"."User"."createdAt";

-- name: insert VerificationToken
-- from: tests/product/clients/programs/sign_in.ts
INSERT INTO "public"."VerificationToken" ("identifier","token","expires") VALUES ($1,$2,$3) RETURNING "public"."VerificationToken"."identifier", "public"."VerificationToken"."token", "public"."VerificationToken"."expires";

-- name: select Account 1
-- from: tests/product/clients/programs/sign_in.ts
SELECT "public"."Account"."provider", "public"."Account"."providerAccountId", "public"."Account"."userId", "public"."Account"."type", "public"."Account"."refresh_token", "public"."Account"."access_token", "public"."Account"."expires_at", "public"."Account"."token_type", "public"."Account"."scope", "public"."Account"."id_token", "public"."Account"."session_state" FROM "public"."Account" WHERE (("public"."Account"."provider" = $1 AND "public"."Account"."providerAccountId" = $2) AND 1=1) LIMIT $3 OFFSET $4;

-- name: select Account 2
-- from: tests/product/clients/programs/sign_in.ts
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."Account"."provider", "public"."Account"."providerAccountId" FROM "public"."Account" WHERE 1=1 OFFSET $1) AS "sub";

-- name: select Message 1
-- from: examples/server/server.ts, tests/product/clients/programs/reading.ts
SELECT "public"."Message"."id", "public"."Message"."threadId", "public"."Message"."role", "public"."Message"."content", "public"."Message"."name", "public"."Message"."toolCallId", "public"."Message"."toolCalls", "public"."Message"."provider", "public"."Message"."model", "public"."Message"."usage", "public"."Message"."metaJson", "public"."Message"."createdAt" FROM "public"."Message" WHERE "public"."Message"."threadId" = $1 ORDER BY "public"."Message"."createdAt" ASC LIMIT $2 OFFSET $3;

-- name: select Message 2
-- from: tests/product/clients/programs/conversation.ts
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."Message"."id" FROM "public"."Message" WHERE "public"."Message"."threadId" = $1 OFFSET $2) AS "sub";

-- name: select Message 3
-- from: tests/product/clients/programs/sign_in.ts
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."Message"."id" FROM "public"."Message" WHERE 1=1 OFFSET $1) AS "sub";

-- name: select ScopeConsent 1
-- from: tests/product/clients/programs/reading.ts
SELECT "public"."ScopeConsent"."id", "public"."ScopeConsent"."threadId", "public"."ScopeConsent"."scopeKey", "public"."ScopeConsent"."granted", "public"."ScopeConsent"."createdAt" FROM "public"."ScopeConsent" WHERE "public"."ScopeConsent"."threadId" = $1 OFFSET $2;

-- name: select ScopeConsent 2
-- from: tests/product/clients/programs/conversation.ts
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."ScopeConsent"."id" FROM "public"."ScopeConsent" WHERE "public"."ScopeConsent"."threadId" = $1 OFFSET $2) AS "sub";

-- name: select Session 1
-- from: tests/product/clients/programs/sign_in.ts
SELECT "public"."Session"."sessionToken", "public"."Session"."userId", "public"."Session"."expires" FROM "public"."Session" WHERE ("public"."Session"."sessionToken" = $1 AND 1=1) LIMIT $2 OFFSET $3;

-- name: select Session 2
-- from: tests/product/clients/programs/sign_in.ts
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."Session"."sessionToken" FROM "public"."Session" WHERE 1=1 OFFSET $1) AS "sub";

-- name: select Thread 1
-- from: tests/product/clients/programs/conversation.ts, tests/product/clients/programs/sign_in.ts
SELECT "public"."Thread"."id", "public"."Thread"."createdAt", "public"."Thread"."model", "public"."Thread"."activeScopeKeys", "public"."Thread"."userId" FROM "public"."Thread" WHERE "public"."Thread"."id" = $1 LIMIT $2 OFFSET $3;

-- name: select Thread 2
-- from: examples/server/server.ts, tests/product/clients/programs/reading.ts
SELECT "public"."Thread"."id", "public"."Thread"."createdAt", "public"."Thread"."model", "public"."Thread"."activeScopeKeys", "public"."Thread"."userId" FROM "public"."Thread" WHERE ("public"."Thread"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3;

-- name: select Thread 3
-- from: tests/product/clients/programs/sign_in.ts
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."Thread"."id" FROM "public"."Thread" WHERE 1=1 OFFSET $1) AS "sub";

-- name: select User 1
-- from: tests/product/clients/programs/reading.ts, tests/product/clients/programs/sign_in.ts
-- null: $1
SELECT "public"."User"."id", "public"."User"."name", "public"."User"."email", "public"."User"."emailVerified", "public"."User"."image", "public"."User"."createdAt" FROM "public"."User" WHERE "public"."User"."id" = $1 OFFSET $2;

-- name: select User 2
-- from: tests/product/clients/programs/sign_in.ts
SELECT "public"."User"."id", "public"."User"."name", "public"."User"."email", "public"."User"."emailVerified", "public"."User"."image", "public"."User"."createdAt" FROM "public"."User" WHERE ("public"."User"."email" = $1 AND 1=1) LIMIT $2 OFFSET $3;

-- name: select User 3
-- from: tests/product/clients/programs/sign_in.ts
SELECT COUNT(*) AS "_count$_all" FROM (SELECT "public"."User"."id" FROM "public"."User" WHERE 1=1 OFFSET $1) AS "sub";

-- name: update Session
-- from: tests/product/clients/programs/sign_in.ts
UPDATE "public"."Session" SET "sessionToken" = $1, "expires" = $2 WHERE ("public"."Session"."sessionToken" = $3 AND 1=1) RETURNING "public"."Session"."sessionToken", "public"."Session"."userId", "public"."Session"."expires";

-- name: update User 1
-- from: tests/product/clients/programs/sign_in.ts
UPDATE "public"."User" SET "emailVerified" = $1 WHERE ("public"."User"."id" = $2 AND 1=1) RETURNING "public"."User"."id", "public"."User"."name", "public"."User"."email", "public"."User"."emailVerified", "public"."User"."image", "public"."User"."createdAt";

-- name: update User 2
-- from: tests/product/clients/programs/sign_in.ts
UPDATE "public"."User" SET "name" = $1 WHERE ("public"."User"."id" = $2 AND 1=1) RETURNING "public"."User"."id", "public"."User"."name", "public"."User"."email", "public"."User"."emailVerified", "public"."User"."image", "public"."User"."createdAt";
