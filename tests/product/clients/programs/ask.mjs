// Connect with node-postgres as `for_prisma()` says, and answer one question. QUESTION "tls" asks the socket.
import pg from "pg";

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
const answer =
  process.env.QUESTION === "tls" ? client.connection.stream.encrypted === true : Object.values((await client.query(process.env.QUESTION)).rows[0])[0];
console.log(JSON.stringify(answer));
await client.end();
