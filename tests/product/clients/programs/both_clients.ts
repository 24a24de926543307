// What Prisma reads of rows that another client wrote, and what becomes of awkward values that it writes itself.
import { prisma } from "./prisma.ts";

type Outcome = { value?: unknown; error?: string };

async function outcome(work: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { value: await work() };
  } catch (error) {
    const { code, name, meta } = error as { code?: string; name: string; meta?: any };
    return { error: meta?.driverAdapterError?.cause?.originalCode ?? code ?? name };
  }
}

async function all<T>(named: Record<string, T>, work: (each: T) => Promise<unknown>) {
  const outcomes: Record<string, Outcome> = {};
  for (const [name, each] of Object.entries(named)) outcomes[name] = await outcome(() => work(each));
  return outcomes;
}

const awkward: Record<string, object> = {
  "half a character": { content: "a\ud800b" },
  "a NUL": { content: "a\0b" },
  "half a character in json": { metaJson: { text: "a\ud800b" } },
  "a NUL in json": { metaJson: { text: "a\0b" } },
  "the largest number in json": { metaJson: { n: Number.MAX_VALUE } },
  "no number in json": { metaJson: { n: NaN } },
  "the last instant of 9999": { createdAt: new Date("9999-12-31T23:59:59.999Z") },
  "the year 10000": { createdAt: new Date("+010000-01-01T00:00:00Z") },
  "JavaScript's last instant": { createdAt: new Date(8.64e15) },
  "the year 0": { createdAt: new Date("0000-01-01T00:00:00Z") },
  "before Christ": { createdAt: new Date("-000043-03-15T00:00:00Z") },
  "no date": { createdAt: new Date(NaN) },
};

const { messages, threads } = JSON.parse(process.env.STORED!);
const read = {
  ...(await all(messages, async (id: string) => {
    const { createdAt, metaJson } = (await prisma.message.findUnique({ where: { id } }))!;
    return { createdAt, metaJson };
  })),
  ...(await all(threads, async (id: string) => (await prisma.thread.findUnique({ where: { id } }))!.activeScopeKeys)),
};
const { id: threadId } = await prisma.thread.create({ data: {} });
const written = await all(
  awkward,
  async (data) => (await prisma.message.create({ data: { threadId, role: "human", content: "", ...data } })).id,
);
const keys = ["a", null as unknown as string];
written["a null among the scope keys"] = await outcome(() => prisma.thread.create({ data: { activeScopeKeys: keys } }));
console.log(JSON.stringify({ read, written }));
await prisma.$disconnect();
