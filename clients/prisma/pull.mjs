// Print the schema that Prisma finds in the database DATABASE_URL, starting from schema.prisma: what it says about names of
// relations and about defaults made by the client stays. To refresh it: node pull.mjs > new && mv new schema.prisma
import { readFile } from "node:fs/promises";
import { withSchemaEngine } from "./schema_engine.mjs";

const content = await readFile(process.argv[2] ?? new URL("schema.prisma", import.meta.url), "utf8");
const found = await withSchemaEngine(process.env.DATABASE_URL, content, (engine) =>
  engine.introspect({
    schema: { files: [{ path: "schema.prisma", content }] },
    baseDirectoryPath: ".",
    force: false,
    compositeTypeDepth: 0,
    namespaces: null,
  }),
);
process.stdout.write(found.schema.files[0].content);
