# Everything a contributor needs is one of these words; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export CGO_ENABLED ?= 1

BIN := bin
LINT := $(BIN)/lint

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | awk -F'|' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: dev
dev: prepare ## the whole stack, until Ctrl-C; data stays in .tandem/
	go run ./cmd/tandem-dev

.PHONY: demo
demo: prepare ## the main job on real input, then a table of what happened
	go run ./cmd/tandem-dev demo

.PHONY: test
test: prepare ## all tests, on a real Postgres and a real Temporal
	go test -race -shuffle=on -timeout=15m ./...

# Every case kills a process and waits until Temporal notices, so that the matrix takes minutes of waiting and little work.
CRASH := go test -tags chaos -count=1 -timeout=20m -run '^TestCrash' ./e2e

.PHONY: crash
crash: prepare ## kill -9 at every point of every flow, restart, check what must always hold; prints the matrix
	@$(CRASH) -v 2>&1 | grep -vE '^ *(=== (RUN|PAUSE|CONT)|--- PASS)'

.PHONY: crash-sample
crash-sample: prepare ## the same with each point once
	@CHAOS_SAMPLE=1 $(CRASH) -v 2>&1 | grep -vE '^ *(=== (RUN|PAUSE|CONT)|--- PASS)'

.PHONY: check
check: $(LINT) ## formatting, vet, linters, determinism of workflows, tidy modules
	@test -z "$$(gofmt -l .)" || { echo "gofmt -w these:"; gofmt -l .; exit 1; }
	go vet ./...
	go vet -tags chaos ./chaos ./e2e
	go test -tags chaos ./chaos
	$(LINT)/golangci-lint run ./...
	$(LINT)/workflowcheck ./workflows/...
	go mod tidy -diff
	go -C tools/lint mod tidy -diff
	go -C tools/temporal mod tidy -diff
	go mod verify

.PHONY: build
build: ## the tandem binary, static, in bin/
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o $(BIN)/tandem ./cmd/tandem

.PHONY: bench-webhooks
bench-webhooks: prepare ## 20,000 new events over 32 connections, with Temporal there and with Temporal stopped
	go test -tags bench -count=1 -timeout=30m -run TestWebhooks -v ./bench | grep -vE '^(=== |--- |    --- )'

.PHONY: bench-import
bench-import: prepare ## whole books: imports of 10,000 and 100,000 customers, slow pages, Stripe's limit, a kill in the middle
	go test -tags bench -count=1 -timeout=40m -run TestImport -v ./bench | grep -vE '^(=== |--- |    --- )'

.PHONY: bench
bench: bench-import bench-webhooks ## both

.PHONY: record
record: prepare ## record histories for the replay tests, on the commit that is deployed: make record AS=v0.2
	@test -n "$(AS)" || { echo "say which version is recorded: make record AS=v0.2"; exit 1; }
	TANDEM_RECORD_HISTORIES=$(AS) go test -count=1 -run TestRecordHistories ./starter

$(LINT): tools/lint/go.mod tools/lint/go.sum
	@mkdir -p $(LINT)
	go build -C tools/lint -o $(CURDIR)/$(LINT)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint go.temporal.io/sdk/contrib/tools/workflowcheck
	@touch $(LINT)

# What the stack needs is found or built before anything is timed: the first build of Temporal's command line takes some
# minutes, more than a test may.
.PHONY: prepare
prepare: postgres
	@go run ./cmd/tandem-dev prepare

# Postgres is the one thing that Go cannot bring along. On Debian and its relatives, as root, it is installed; anywhere
# else tandem-dev says how.
.PHONY: postgres
postgres:
	@if ! command -v postgres >/dev/null && ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && [ -z "$${DATABASE_URL:-}$${TANDEM_TEST_POSTGRES:-}" ] \
	   && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "installing Postgres from this distribution …"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null; fi
