// The package in both of Node's module systems. Threads find their own file beside the bundle that starts them.
import { defineConfig } from "rolldown";
import manifest from "./package.json" with { type: "json" };

const external = Object.keys(manifest.dependencies).map((name) => new RegExp(`^${name}(/|$)`));
const input = {
  index: "src/index.ts",
  testing: "src/testing/index.ts",
  "session-thread": "src/session/thread.ts",
  "isolate-thread": "src/worker/isolate-thread.ts",
};
const bundle = (format, dir) => ({
  input,
  external,
  platform: "node",
  transform: { target: "node20", define: { __VERSION__: JSON.stringify(manifest.version) } },
  output: { dir, format, sourcemap: true, entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" },
});

export default defineConfig([bundle("esm", "dist/esm"), bundle("cjs", "dist/cjs")]);
