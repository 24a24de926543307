-- Undo: users, what Auth.js keeps about them, and threads that belong to a user

DROP INDEX "Thread_userId_createdAt_idx";
ALTER TABLE "Thread" DROP COLUMN "userId";
DROP TABLE "VerificationToken";
DROP TABLE "Session";
DROP TABLE "Account";
DROP TABLE "User";
