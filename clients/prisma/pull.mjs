// Print the schema that Prisma finds in the database DATABASE_URL, starting from schema.prisma: what it says about names of
// relations and about defaults made by the client stays. To refresh it: node pull.mjs > new && mv new schema.prisma
import { readFile } from "node:fs/promises";
import { withSchemaEngine } from "./schema_engine.mjs";

// A model that the engine itself set aside, because its table had no key, stays so even when there is one by now, and the
// engine then refuses its own file. Without it, and the fields that lead to it, the engine finds the table as it is.
function withoutSetAside(schema) {
  const set = new Set();
  const kept = schema.replace(/^((?:\/\/\/.*\n)*)model (\w+) \{\n[^]*?\n\}\n*/gm, (model, comment, name) => {
    if (!comment.includes("does not contain a valid unique identifier") || !/^\s*@@ignore\b/m.test(model)) return model;
    set.add(name);
    return "";
  });
  return kept.replace(/^ +\w+ +(\w+)(?:\[\]|\?)?(?: .*)?\n/gm, (field, type) => (set.has(type) ? "" : field));
}

const given = await readFile(process.argv[2] ?? new URL("schema.prisma", import.meta.url), "utf8");
const content = withoutSetAside(given);
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
