#!/usr/bin/env bash
# Packs the package, installs it in a project of its own, and runs it there in both module systems.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
sdk=$(cd ../.. && pwd)
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
(cd "$sdk" && node build.js && npm pack --silent --pack-destination "$project" >/dev/null)
cp esm.mjs commonjs.cjs types.mts types.cts "$project"
cd "$project"
echo '{ "name": "application", "private": true }' >package.json
npm install --silent --no-audit --no-fund ./*.tgz
node esm.mjs
node commonjs.cjs
"$sdk/node_modules/.bin/tsc" --noEmit --strict --module nodenext --target es2022 --typeRoots "$sdk/node_modules/@types" \
    --types node types.mts types.cts
echo "types work in both"
