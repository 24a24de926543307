// Print the SQL that Prisma would run to make the database DATABASE_URL what schema.prisma says. Exit 2 if there is any.
import { readFile } from "node:fs/promises";
import { withSchemaEngine } from "./schema_engine.mjs";

const content = await readFile(process.argv[2] ?? new URL("schema.prisma", import.meta.url), "utf8");
const files = [{ path: "schema.prisma", content }];
const found = await withSchemaEngine(process.env.DATABASE_URL, content, (engine) =>
  engine.diff({
    from: { tag: "schemaDatasource", files, configDir: "." },
    to: { tag: "schemaDatamodel", files },
    script: true,
    shadowDatabaseUrl: null,
    exitCode: true,
    filters: { externalTables: [], externalEnums: [] },
  }),
);
process.stdout.write(found.stdout ?? "");
process.exitCode = found.exitCode;
