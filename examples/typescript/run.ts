import { fileURLToPath } from "node:url";

/** Runs the function that the command line names, if `module` is the program and not a part of another. */
export async function run(module: string, commands: Readonly<Record<string, () => Promise<void>>>): Promise<void> {
  if (process.argv[1] !== fileURLToPath(module)) return;
  const command = commands[process.argv[2] ?? "submit"];
  if (command) await command();
  else throw new Error(`one of: ${Object.keys(commands).join(", ")}`);
}
