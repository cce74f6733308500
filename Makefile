# Everything the project needs is set up in this checkout, under .venv; nothing outside it is touched.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
LOCK := requirements/lock.txt

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
		--extra dev --group test --group lint --group build pyproject.toml -o $(LOCK)

# Two copies of the generated code: the server's, and the Python SDK's own.
SERVER_GEN := scheduler/wire/gen
SDK_GEN := sdk/python/src/taskyard/_gen

.PHONY: generate
generate: $(READY) ## Write the code generated from proto/ (OUT=dir writes below another directory)
	$(BIN)/python proto/generate.py $(SERVER_GEN) scheduler.wire.gen $(if $(OUT),--below $(OUT))
	$(BIN)/python proto/generate.py $(SDK_GEN) taskyard._gen $(if $(OUT),--below $(OUT))
