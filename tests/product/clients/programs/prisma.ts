// The singleton, as the server has it in src/lib/prisma.ts; with a log of its queries for the tests.
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "./generated/client.ts";

const adapter = new PrismaPg({ connectionString: process.env.DATABASE_URL, max: 5 });
export const prisma = new PrismaClient({ adapter, log: [{ emit: "event", level: "query" }] });
