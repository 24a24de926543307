// Where Prisma's adapter looks for tables: the schema that is its option, whatever the URL says.
import { PrismaPg } from "@prisma/adapter-pg";
import { PrismaClient } from "./generated/client.ts";

const adapter = new PrismaPg({ connectionString: process.env.DATABASE_URL }, JSON.parse(process.env.ADAPTER_OPTIONS!));
const prisma = new PrismaClient({ adapter });
console.log(JSON.stringify(await prisma.thread.count()));
await prisma.$disconnect();
