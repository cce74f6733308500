import { fileURLToPath } from "node:url";

import { defineConfig } from "vitest/config";

export default defineConfig({
  define: { __VERSION__: JSON.stringify("0.0.0-test") },
  // The examples name the package as any application does.
  resolve: { alias: { "@taskyard/sdk": fileURLToPath(new URL("src/index.ts", import.meta.url)) } },
  test: { include: ["test/**/*.test.ts"], typecheck: { enabled: false } },
});
