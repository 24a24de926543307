// The chat server in one file: Prisma 7 on its pg adapter, and node:http. Run: DATABASE_URL=… npx tsx@4.23.15 server.ts
import { createServer } from "node:http";
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "./generated/client.ts"; // `prisma generate` makes it from clients/prisma/schema.prisma

// One client, and so one pool, for the process. The URL is the pooled one of the role `server`.
const prisma = new PrismaClient({
  adapter: new PrismaPg({
    connectionString: process.env.DATABASE_URL,
    max: 10,
    connectionTimeoutMillis: 15_000, // a compute that Neon has suspended takes some seconds to wake
    idleTimeoutMillis: 240_000, // Neon suspends it after five minutes, and drops the connections
  }),
});

type Answer = [status: number, body: unknown];

const routes: Record<string, (id: string, body: Record<string, string>) => Promise<Answer>> = {
  "POST /threads": async () => [201, await prisma.thread.create({ data: {} })],
  "POST /threads/:id/messages": async (threadId, { role = "human", content = "" }) => [
    201,
    await prisma.message.create({ data: { threadId, role, content } }),
  ],
  "GET /threads/:id/messages": async (threadId) => [
    200,
    await prisma.message.findMany({ where: { threadId }, orderBy: { createdAt: "asc" }, take: 50 }),
  ],
};

const server = createServer(async (request, response) => {
  const [, collection, id = "", ...rest] = new URL(request.url ?? "/", "http://localhost").pathname.split("/");
  const route = routes[[`${request.method} /${collection}`, ...(id ? [":id"] : []), ...rest].join("/")];
  const text = await new Response(request as unknown as ReadableStream).text();
  const answer = route?.(id, text ? JSON.parse(text) : {}) ?? Promise.resolve<Answer>([404, { error: "no such route" }]);
  const [status, body] = await answer.catch((error: Error): Answer => [400, { error: error.message.split("\n").at(-1) }]);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
});

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  const address = server.address();
  console.log(`listening on http://127.0.0.1:${typeof address === "object" && address ? address.port : ""}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void prisma.$disconnect()));
}
