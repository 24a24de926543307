// Reads {left, right, owner, roles, ignoredSchemas} from each line of standard input, where left and right are connection
// settings of node-postgres, and writes a line with {forward, backward, diagnostics} to standard output: the statements that
// lead from left to right, and back.
import { createInterface } from "node:readline";

import { extract } from "@supabase/pg-delta/extract";
import { plan } from "@supabase/pg-delta/plan";
import pg from "pg";

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await difference(JSON.parse(line)))}\n`);
}

async function difference(request) {
  const options = optionsFor(request);
  const [left, right] = await Promise.all([read(request.left), read(request.right)]);
  return {
    forward: steps(left, right, options),
    backward: steps(right, left, options),
    diagnostics: [...left.diagnostics, ...right.diagnostics].map(({ code, severity, message }) => ({
      code,
      severity,
      message,
    })),
  };
}

function optionsFor(request) {
  const roles = [request.owner, ...request.roles];
  return {
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
}

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
function steps(from, to, options) {
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
