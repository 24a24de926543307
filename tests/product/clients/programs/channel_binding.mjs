// Connects to DATABASE_URL with node-postgres, its channel bound, and with Prisma's adapter; prints who each one is.

import { readFileSync } from "node:fs";
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";

const asked = "SELECT current_user AS found";
const ssl = { ca: readFileSync(process.env.AUTHORITY, "utf8") };
const connectionString = process.env.DATABASE_URL.split("?")[0]; // its sslmode would replace `ssl`

const client = new pg.Client({ connectionString, ssl, enableChannelBinding: true });
await client.connect();
const bound = (await client.query(asked)).rows[0].found;
await client.end();

const adapter = await new PrismaPg({ connectionString, ssl }).connect();
const plain = (await adapter.queryRaw({ sql: asked, args: [], argTypes: [] })).rows[0][0];
await adapter.dispose();

process.stdout.write(JSON.stringify({ bound, plain }));
