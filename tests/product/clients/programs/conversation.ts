// What the server does with threads, messages and consents. Prints one JSON document.
import { prisma } from "./prisma.ts";

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "done";
  } catch (error) {
    // Prisma wraps the database's code in its own words, in one place or another.
    const text = `${error} ${JSON.stringify(error)}`;
    return /\b(42501|23514)\b/.exec(text)?.[1] ?? (/denied access|permission denied/i.test(text) ? "42501" : text);
  }
};

const thread = await prisma.thread.create({ data: {} });
const value = { text: "é\u2028😀", list: [1, 2.5, null, true], deep: { a: { b: [] } } };
const message = await prisma.message.create({
  data: { threadId: thread.id, role: "ai", content: "hello", toolCalls: [{ id: "call-1", args: value }], usage: { input: 3 }, metaJson: value },
});
await prisma.scopeConsent.create({ data: { threadId: thread.id, scopeKey: "mail", granted: true } });

const many = await Promise.all(
  Array.from({ length: 20 }, (_, n) => prisma.message.create({ data: { threadId: thread.id, role: "human", content: `${n}` } })),
);

const gone = await prisma.thread.create({
  data: { messages: { create: [{ role: "human", content: "x" }] }, consents: { create: [{ scopeKey: "s", granted: true }] } },
});
await prisma.thread.delete({ where: { id: gone.id } });

const where = { threadId: thread.id };
const raw = (sql: string) => codeOf(prisma.$executeRawUnsafe(sql));
console.log(
  JSON.stringify({
    thread,
    message,
    concurrent: many.length,
    afterCascade: [await prisma.message.count({ where: { threadId: gone.id } }), await prisma.scopeConsent.count({ where: { threadId: gone.id } })],
    refused: {
      "a fifth role": await codeOf(prisma.message.create({ data: { threadId: thread.id, role: "robot", content: "" } })),
      "changing a consent": await codeOf(prisma.scopeConsent.updateMany({ where, data: { granted: false } })),
      "deleting a consent": await codeOf(prisma.scopeConsent.deleteMany({ where })),
      "create table": await raw(`CREATE TABLE "Mine" (id int)`),
      "temporary table": await raw(`CREATE TEMP TABLE "Mine" (id int)`),
      "alter table": await raw(`ALTER TABLE "Thread" ADD COLUMN "mine" int`),
      "drop table": await raw(`DROP TABLE "Thread"`),
      truncate: await raw(`TRUNCATE "Thread" CASCADE`),
      "create schema": await raw(`CREATE SCHEMA mine`),
    },
  }),
);
await prisma.$disconnect();
