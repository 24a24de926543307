// Reads {left, right, owner, roles, ignoredSchemas} from standard input, where left and right are connection settings of
// node-postgres, and writes {forward, backward, diagnostics} to standard output: the statements that lead from left to
// right, and back.
import { extract } from "@supabase/pg-delta/extract";
import { plan } from "@supabase/pg-delta/plan";
import pg from "pg";

const request = JSON.parse(await readAll(process.stdin));

const roles = [request.owner, ...request.roles];
const options = {
  scope: "database",
  defaultOwner: request.owner,
  assumedRoles: roles,
  renames: "off",
  policy: {
    id: "schema-differ",
    assumedRoles: roles,
    filter: [
      // grants are not in the desired schema: the pipeline writes and checks them itself
      { match: { kind: ["acl", "defaultPrivilege"] }, action: "exclude" },
      { match: { all: [{ kind: "schema" }, { name: request.ignoredSchemas }] }, action: "exclude" },
      { match: { schema: request.ignoredSchemas }, action: "exclude" },
    ],
  },
};

const [left, right] = await Promise.all([read(request.left), read(request.right)]);
process.stdout.write(
  JSON.stringify({
    forward: steps(left, right),
    backward: steps(right, left),
    diagnostics: [...left.diagnostics, ...right.diagnostics].map(({ code, severity, message }) => ({
      code,
      severity,
      message,
    })),
  }),
);

async function read(settings) {
  const { verifyName, ...ssl } = settings.ssl || {};
  if (settings.ssl) settings.ssl = verifyName ? ssl : { ...ssl, checkServerIdentity: () => undefined };
  const pool = new pg.Pool({ ...settings, max: 1 });
  try {
    const result = await extract(pool);
    return { factBase: result.factBase, diagnostics: result.diagnostics ?? result.factBase.diagnostics ?? [] };
  } finally {
    await pool.end();
  }
}

// A plan that cannot be made is an answer too: the other direction, and the diagnostics, are still worth having.
function steps(from, to) {
  try {
    const made = plan(from.factBase, to.factBase, options);
    return {
      preamble: made.preamble.filter(({ name }) => name !== "search_path"),
      steps: made.actions.map((action) => ({
        sql: action.sql,
        destructive: action.dataLoss === "destructive",
        rewrites: action.rewriteRisk,
        outside: action.transactionality === "nonTransactional",
        commitBefore: action.newSegmentBefore,
      })),
    };
  } catch (error) {
    return { error: String(error.message ?? error) };
  }
}

async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
