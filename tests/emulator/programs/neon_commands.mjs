// Runs Neon's own command line again and again in one process, since the start of each takes a second.
//
// A line of the descriptor that is named by its argument holds the arguments of a command as a JSON list; the answer is one
// line: {code, out, err}. The command line itself is unchanged: its entry module is imported anew for each command, and a
// command is over when nothing is left to wait for, as it would be in a process of its own.

import { readSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const entry = join(dirname(fileURLToPath(import.meta.resolve("neon/package.json"))), "dist", "index.js");
const answer = process.stdout.write.bind(process.stdout);
class Exit extends Error {}

const asked = Number(process.argv[2]);
let code;
let out = "";
let err = "";
let commands = 0;

// What a command says after its end is not its own: it sees the end as an error, and would tell of it.
process.stdout.write = (text) => ((out += code === undefined ? text : ""), true);
process.stderr.write = (text) => ((err += code === undefined ? text : ""), true);
process.exit = (wanted) => {
  code ??= wanted ?? 0;
  throw new Exit();
};
process.on("unhandledRejection", (reason) => {
  if (reason instanceof Exit) return;
  err += `${reason?.stack ?? reason}\n`;
  code ??= 1;
});
process.on("beforeExit", () => {
  if (commands > 0) answer(`${JSON.stringify({ code: code ?? process.exitCode ?? 0, out, err })}\n`);
  const line = readLine();
  if (line === undefined) return;
  process.exitCode = undefined;
  code = undefined;
  out = "";
  err = "";
  process.argv = [process.argv[0], entry, ...JSON.parse(line)];
  commands += 1;
  import(`${pathToFileURL(entry)}?command=${commands}`);
});

function readLine() {
  const bytes = Buffer.alloc(1);
  const line = [];
  for (;;) {
    if (readSync(asked, bytes) === 0) return undefined;
    if (bytes[0] === 10) return Buffer.from(line).toString();
    line.push(bytes[0]);
  }
}
