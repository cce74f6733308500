/** The conformance kit's testee: a command on each line of stdin, what happened on stdout. */

import { createInterface } from "node:readline";

import manifest from "../package.json" with { type: "json" };
import { parse } from "../src/payload.js";
import * as client from "./client.js";
import { tell } from "./lines.js";
import { type Fields, problem, Unsupported } from "./notation.js";
import * as worker from "./worker.js";

const underWay = new Map<unknown, AbortController>();

const commands: Readonly<Record<string, client.Command>> = {
  ...client.commands,
  ...worker.commands,
  abort: ({ of }) => {
    underWay.get(of)?.abort();
    return {};
  },
};

async function answer({ id, do: name, ...fields }: Fields): Promise<void> {
  const call = new AbortController();
  underWay.set(id, call);
  try {
    const command = commands[String(name)];
    if (!command) throw new Unsupported(`no command ${String(name)}`);
    tell({ event: "reply", id, ok: await command(fields, call.signal) });
  } catch (error) {
    tell({ event: "reply", id, error: problem(error) });
  } finally {
    underWay.delete(id);
  }
}

// A worker that runs keeps its handlers from ending the program.
const exit = process.exit.bind(process);

tell({
  event: "ready",
  protocol: 1,
  sdk: `typescript/${manifest.version}`,
  features: [...new Set([...worker.features, ...client.features])],
});
createInterface({ input: process.stdin })
  .on("line", (line) => void answer(parse(line) as Fields))
  .on("close", () => exit(0));
