// The chat server in one file: Prisma 7 on its pg adapter, and node:http. Run: DATABASE_URL=… npx tsx@4.23.15 server.ts
//
// What a client did wrong is a 4xx with the field's name. A database that is out of reach is a 503, and anything else a 500
// that says nothing of the inside. On SIGTERM it takes no more requests, ends those under way, and closes its pool.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "./generated/client.ts"; // `prisma generate` makes it from clients/prisma/schema.prisma

const LARGEST_BODY = 1 << 20; // bytes
const REQUEST_MS = 10_000; // for the client to send a request
const STOP_MS = 20_000; // for the requests under way, once it stops
const ROLES = ["human", "ai", "tool", "system"];

// One client, and so one pool, for the process. The URL is the pooled one of the role `server`.
const prisma = new PrismaClient({
  adapter: new PrismaPg({
    connectionString: process.env.DATABASE_URL,
    max: 10,
    connectionTimeoutMillis: 15_000, // a compute that Neon has suspended takes some seconds to wake
    idleTimeoutMillis: 240_000, // Neon suspends it after five minutes, and drops the connections
    query_timeout: 30_000, // a server that says nothing holds no request for ever
    keepAlive: true,
  }),
});

class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly field?: string,
  ) {
    super(message);
  }
}

type Answer = [status: number, body: unknown];
type Route = (threadId: string, request: IncomingMessage) => Promise<Answer>;

const routes: Record<string, Record<string, Route>> = {
  "/threads": {
    POST: async () => [201, await prisma.thread.create({ data: {} })],
  },
  "/threads/:id/messages": {
    POST: async (threadId, request) => [
      201,
      await prisma.message.create({ data: { threadId, ...messageOf(await readJson(request)) } }),
    ],
    GET: async (threadId) => {
      const found = await prisma.message.findMany({ where: { threadId }, orderBy: { createdAt: "asc" }, take: 50 });
      if (!found.length && !(await prisma.thread.findUnique({ where: { id: threadId } }))) throw noSuchThread();
      return [200, found];
    },
  },
};

async function answer(request: IncomingMessage): Promise<Answer> {
  const [path = ""] = (request.url ?? "").split("?"); // not new URL(), which throws on `//`
  const parts = /^\/threads\/([^/]+)\/messages$/.exec(path);
  const methods = routes[parts ? "/threads/:id/messages" : path === "/threads" ? path : ""];
  if (!methods) throw new Refused(404, "no such route");
  const route = Object.hasOwn(methods, request.method ?? "") ? methods[request.method ?? ""] : undefined;
  if (!route) throw new Refused(405, `the methods here are ${Object.keys(methods).join(", ")}`);
  const threadId = parts?.[1] ?? "";
  if (parts && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(threadId)) throw noSuchThread();
  return route(threadId, request);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    // The request is not destroyed with the loop: its connection carries the answer, and Node drains the rest.
    for await (const piece of request.iterator({ destroyOnReturn: false })) {
      size += piece.length;
      if (size > LARGEST_BODY) break;
      pieces.push(piece);
    }
  } catch {
    throw new Refused(400, "the client went away"); // nobody reads it
  }
  if (size > LARGEST_BODY) throw new Refused(413, `a body has at most ${LARGEST_BODY} bytes`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces)));
  } catch {
    throw new Refused(400, "the body is not JSON in UTF-8");
  }
}

function messageOf(body: unknown): { role: string; content: string } {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refused(400, 'a message is an object: {"role": …, "content": …}');
  }
  const { role, content } = body as Record<string, unknown>;
  if (typeof role !== "string" || !ROLES.includes(role)) {
    throw new Refused(400, `role is one of ${ROLES.join(", ")}`, "role");
  }
  if (typeof content !== "string") throw new Refused(400, "content is a text", "content");
  // PostgreSQL stores no NUL, and node-postgres would put U+FFFD in the place of half a surrogate pair.
  if (/\0|\p{Surrogate}/u.test(content)) throw new Refused(400, "content holds a NUL or half a character", "content");
  return { role, content };
}

const noSuchThread = () => new Refused(404, "there is no such thread");

// https://www.prisma.io/docs/orm/reference/error-reference: reaching the server, its limits and its time-outs.
const OUT_OF_REACH = ["P1001", "P1002", "P1008", "P1017", "P2024", "P2037"];
const GONE = ["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EPIPE", "ENOTFOUND", "EAI_AGAIN", "57P01", "57P02", "57P03"];

function explain(error: unknown): Answer {
  if (error instanceof Refused) return [error.status, { error: error.message, field: error.field }];
  const { code, name, message, meta } = error as Error & { code?: string; meta?: any };
  if (code === "P2003") return explain(noSuchThread()); // the thread of a message
  const causes = [code, meta?.driverAdapterError?.cause?.originalCode];
  const unreachable =
    name === "PrismaClientInitializationError" ||
    causes.some((each) => [...OUT_OF_REACH, ...GONE].includes(each)) ||
    /timeout|Connection terminated|closed the connection/i.test(message); // node-postgres's own errors have no code
  console.error(unreachable ? `no database: ${code ?? name}` : error);
  return unreachable
    ? [503, { error: "the database is out of reach, try again" }]
    : [500, { error: "internal error" }];
}

let stopping = false;

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  for (const side of [request, response]) side.on("error", () => {}); // a client that went away: nobody to tell
  const [status, body] = await answer(request).catch(explain);
  if (stopping) response.setHeader("connection", "close");
  if (status === 503) response.setHeader("retry-after", "5");
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

const server = createServer(
  { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, keepAliveTimeout: 5_000 },
  (request, response) => {
    handle(request, response).catch((error: unknown) => {
      console.error(error);
      response.destroy();
    });
  },
);

server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
  if (error.code === "ECONNRESET" || !socket.writable) return socket.destroy();
  const status = { ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout", HPE_HEADER_OVERFLOW: "431 Header Fields Too Large" };
  socket.end(`HTTP/1.1 ${status[error.code as keyof typeof status] ?? "400 Bad Request"}\r\nconnection: close\r\n\r\n`);
});

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  const address = server.address();
  console.log(`listening on http://127.0.0.1:${typeof address === "object" && address ? address.port : ""}`);
});

function stop(): void {
  if (stopping) return;
  stopping = true;
  console.log("stopping");
  const late = setTimeout(() => server.closeAllConnections(), STOP_MS);
  server.close(async () => {
    clearTimeout(late);
    await prisma.$disconnect();
    console.log("stopped");
  });
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
