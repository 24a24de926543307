// Prisma's own schema engine, as WebAssembly, on a connection of node-postgres: what the native binary of its command line
// does, without a download. The engine is the one of the Prisma release in package.json (see @prisma/engines-version there).
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { PrismaPg } from "@prisma/adapter-pg";
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from "@prisma/driver-adapter-utils";
import * as bindings from "@prisma/schema-engine-wasm/schema_engine_bg";
import pg from "pg";

const INTERNAL_CHAR = 18; // the type "char" of the system catalogs, which the adapter does not know and the engine asks for
const MARK = "\0char:";

class CatalogPool extends pg.Pool {
  async query(...args) {
    const result = await super.query(...args);
    for (const field of result.fields) {
      if (field.dataTypeID !== INTERNAL_CHAR) continue;
      field.dataTypeID = pg.types.builtins.BPCHAR;
      field.name = MARK + field.name;
    }
    return result;
  }
}

class CatalogAdapterFactory extends PrismaPg {
  async connect() {
    const adapter = await super.connect();
    const ask = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (query) => {
      const answer = await ask(query);
      answer.columnNames.forEach((name, at) => {
        if (!name.startsWith(MARK)) return;
        answer.columnNames[at] = name.slice(MARK.length);
        answer.columnTypes[at] = ColumnTypeEnum.Character;
      });
      return answer;
    };
    return adapter;
  }
}

async function load() {
  const require = createRequire(import.meta.url);
  const file = require.resolve("@prisma/schema-engine-wasm").replace(/schema_engine\.js$/, "schema_engine_bg.wasm");
  globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message: (message) => console.error(message) };
  const { instance } = await WebAssembly.instantiate(await readFile(file), { "./schema_engine_bg.js": bindings });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return bindings.SchemaEngine;
}

// Run `work` with an engine that is connected to a database and knows a schema; close both.
export async function withSchemaEngine(url, schema, work) {
  const SchemaEngine = await load();
  const pool = new CatalogPool({ connectionString: url, max: 1 });
  const factory = bindMigrationAwareSqlAdapterFactory(new CatalogAdapterFactory(pool));
  const engine = await SchemaEngine.new({ datamodels: [["schema.prisma", schema]] }, () => {}, factory);
  try {
    return await work(engine);
  } finally {
    engine.free();
    await pool.end();
  }
}
