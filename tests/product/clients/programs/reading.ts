// Read what the other side wrote: the thread THREAD_ID. Prints the rows, and the SQL of the history query.
import { prisma } from "./prisma.ts";

const statements: string[] = [];
prisma.$on("query", (event) => statements.push(event.query));
const threadId = process.env.THREAD_ID!;
const messages = await prisma.message.findMany({ where: { threadId }, orderBy: { createdAt: "asc" }, take: 50 });
const history = statements.at(-1);
const thread = await prisma.thread.findUnique({ where: { id: threadId }, include: { consents: true, user: true } });
console.log(JSON.stringify({ messages, thread, history }));
await prisma.$disconnect();
