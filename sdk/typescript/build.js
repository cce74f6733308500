// Writes dist/: JavaScript by rolldown, types by tsc, and for each module system a word on which one it is.
import { execFileSync } from "node:child_process";
import { cpSync, rmSync, writeFileSync } from "node:fs";

const run = (program, ...args) => execFileSync(`node_modules/.bin/${program}`, args, { stdio: "inherit" });

process.chdir(import.meta.dirname);
rmSync("dist", { recursive: true, force: true });
run("tsc", "--project", "tsconfig.build.json");
cpSync("dist/esm", "dist/cjs", { recursive: true });
run("rolldown", "--config", "rolldown.config.js", "--log-level", "warn");
writeFileSync("dist/esm/package.json", '{ "type": "module" }\n');
writeFileSync("dist/cjs/package.json", '{ "type": "commonjs" }\n');
