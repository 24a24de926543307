// Write one instant that Prisma makes up and one that it is given, and say how they read back.
import { prisma } from "./prisma.ts";

const given = new Date("2026-03-04T05:06:07.089Z");
const { id } = await prisma.thread.create({ data: {} });
const message = { threadId: id, role: "human", content: "" };
const written = await prisma.message.create({ data: { ...message, createdAt: given } });
const found = await prisma.message.findFirst({ where: { id: written.id, createdAt: given } });
console.log(JSON.stringify({ thread: id, message: written.id, readBack: found?.createdAt }));
await prisma.$disconnect();
