// The conformance kit's testee. It uses the built package as any application does, by its name.
import { defineConfig } from "rolldown";

export default defineConfig({
  input: ["testee/main.ts", "testee/isolated.ts"],
  external: [/^@taskyard\//],
  platform: "node",
  output: { dir: "dist-testee", format: "esm" },
});
