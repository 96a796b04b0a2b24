# `make help` lists what there is. Everything runs on the Node.js that npm installs into node_modules, whatever the
# machine's own is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

INSTALLED := node_modules/.package-lock.json
DASHBOARD := services/dashboard/dist/index.html
DASHBOARD_SOURCES := $(shell find services/dashboard/web packages/client/src packages/protocol/src -type f -not -path '*/node_modules/*' 2>/dev/null)
UNIT := '{packages,services,loadtest}/**/src/**/*.test.ts' 'services/dashboard/{server,web}/**/*.test.ts' 'scripts/**/*.test.ts' 'test/*.test.ts' 'test/docs/*.test.ts' 'loadtest/bench/*.test.ts' 'loadtest/k6/lib/*.test.ts' 'loadtest/devices/*.test.ts' 'test/chaos/*.test.ts' 'test/device-chaos/*.test.ts' 'test/control-chaos/*.test.ts' 'test/simulation/*.test.ts' 'test/deploy/*.test.ts' 'test/cluster/*.test.ts'
# Suites of minutes: kills, attacks, images and the servers that read them. `make test-long` runs them.
LONG := $(wildcard test/attack.itest.ts test/chaos.itest.ts test/device-chaos.itest.ts test/control-chaos.itest.ts test/deploy/compose.itest.ts test/deploy/images.itest.ts test/deploy/prometheus.itest.ts test/deploy/rules.itest.ts)
# The attacks require answers in time: no other suite may load the machine meanwhile.
ALONE := test/attack.itest.ts
INTEGRATION := $(filter-out $(LONG),$(wildcard test/docs/*.itest.ts packages/*/test/*.itest.ts services/*/test/*.itest.ts services/dashboard/server/test/*.itest.ts test/*.itest.ts test/deploy/*.itest.ts loadtest/k6/test/*.itest.ts loadtest/devices/test/*.itest.ts))

# Files of tests that run at once. Integration tests wait a quarter of their time, for brokers, browsers and time-outs:
# three of them use two processors.
TEST_JOBS ?= 3
NODE_TEST := node --test --test-reporter=spec --test-concurrency=$(TEST_JOBS)
UNIT_TEST := node --disable-warning=ExperimentalWarning scripts/run-units.ts --jobs $(TEST_JOBS)

.PHONY: help setup demo stack test test-long unit integration tools ok numbers format types lint generate screenshot bench chaos attack device-chaos control-chaos fuzz simulate simulate-mutations loadtest version release-check sizing token command docs-test images cluster-test compose compose-down

help: ## Lists these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-20s %s\n", $$1, $$2 }'

setup: $(INSTALLED) $(DASHBOARD) ## Installs the npm packages, and builds the dashboard, if they changed

$(INSTALLED): package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(DASHBOARD): $(INSTALLED) $(DASHBOARD_SOURCES)
	npm run --silent build -w services/dashboard
	@touch $@

demo: setup ## Runs Tailrace in one process, without a broker, and a gateway beside it, and prints the URL of its page. DATA=folder PORT_BASE=number MOOD=calm|drift|storm|dropout|failure BRIDGES=file
	@TAILRACE_DATA_DIR=$(or $(DATA),$(TAILRACE_DATA_DIR),data/demo) TAILRACE_PORT_BASE=$(or $(PORT_BASE),$(TAILRACE_PORT_BASE),8080) TAILRACE_MOOD=$(or $(MOOD),$(TAILRACE_MOOD),calm) TAILRACE_GATEWAY=$${TAILRACE_GATEWAY:-true} TAILRACE_MQTT_BRIDGES_FILE=$(or $(BRIDGES),$(TAILRACE_MQTT_BRIDGES_FILE)) TAILRACE_LOG_PRETTY=true TAILRACE_LOG_LEVEL=$${TAILRACE_LOG_LEVEL:-warn} exec node services/standalone/src/main.ts

stack: setup ## Runs Kafka, NATS and the services as processes. NODES=3 DATA=folder PORT_BASE=number
	@exec node scripts/stack.ts --nodes $(or $(NODES),3) --data $(or $(DATA),data/stack) --port-base $(or $(PORT_BASE),8080)

tools: $(INSTALLED) ## Installs what the tests need and this machine lacks, by apt or brew: Java, Maven, nats-server, Mosquitto, PostgreSQL, Chromium, promtool, nginx, HAProxy, Go
	@node --disable-warning=ExperimentalWarning scripts/install-tools.ts

test: setup tools ## Runs the tests: units, and integration on real brokers and a real browser; installs what they need
	$(if $(UNIT),$(UNIT_TEST) $(UNIT))
	$(NODE_TEST) $(INTEGRATION)

test-long: setup tools ## Runs the suites of minutes: short runs of the kills and attacks, images, dashboards and alert rules on Prometheus
	node --test --test-reporter=spec $(ALONE)
	$(NODE_TEST) $(filter-out $(ALONE),$(LONG))

unit: setup ## Runs the unit tests: no ports, no brokers, seconds
	$(UNIT_TEST) $(UNIT)

integration: setup tools ## Runs the integration tests: real Kafka, NATS, Chromium, nginx and HAProxy, by the broker sources of packages/testkit
	$(NODE_TEST) $(INTEGRATION)

ok: setup ## The gate: format, types, lint, generated files, unit tests
	biome check --error-on-warnings .
	npm run --silent types
	node scripts/generate.ts --check
	node scripts/version.ts --check
	$(UNIT_TEST) $(UNIT)

numbers: $(INSTALLED) ## Prints lines of the product, import circles, and words outside the glossary
	@node --disable-warning=ExperimentalWarning scripts/numbers.ts

format: setup ## Formats the code and sorts its imports
	biome check --write .

types: setup ## Checks the types
	npm run --silent types

lint: setup ## Lints
	biome lint --error-on-warnings .

generate: setup ## Writes the generated files: Protobuf code, configuration docs, dashboards, limits, the chart's schema and page
	node scripts/generate.ts

screenshot: setup ## Renews docs/dashboard.png, the picture of the README
	TAILRACE_TEST_SCREENSHOT=docs/dashboard.png node --test --test-reporter=spec test/demo.itest.ts

bench: setup ## Measures against bare libraries in the same run, prints the tables and writes docs/PERFORMANCE.md. ONLY=intake writes the second, ONLY=control the third, ONLY=name prints one bench, ONLY=anomaly with NAB=folder
	NAB='$(NAB)' node loadtest/bench/bench.ts $(ONLY)

chaos: setup ## Injects failures into a running stack, one after the other, and counts what its clients lose. CLIENTS=3000 DEVICES=1000 NODES=3 FAULTS=kill,pause,roll,nats,kafka
	@exec node test/chaos/chaos.ts --nodes $(or $(NODES),3) --clients $(or $(CLIENTS),3000) --devices $(or $(DEVICES),1000) $(if $(FAULTS),--faults $(FAULTS)) \
		--seconds $(or $(SECONDS),5) --drain-ms $(or $(DRAIN_MS),5000) --limit-seconds $(or $(LIMIT_SECONDS),600) --data $(or $(DATA),data/chaos)

device-chaos: setup tools ## Kills ingest, NATS, the MQTT broker, the gateway and Kafka in turn under load of each protocol, stops ingest for OUTAGE_SECONDS, and counts what the log has. FAULTS=ingest,nats,broker,gateway,kafka,outage OUTAGE_SECONDS=600 RATE=100 INGEST=2
	@exec node test/device-chaos/device-chaos.ts $(if $(FAULTS),--faults $(FAULTS)) --ingest $(or $(INGEST),2) --rate $(or $(RATE),100) --seconds $(or $(SECONDS),3) \
		--outage-seconds $(or $(OUTAGE_SECONDS),600) --limit-seconds $(or $(LIMIT_SECONDS),2400) --data $(or $(DATA),data/device-chaos)

control-chaos: setup tools ## Kills and pauses alarms, control, PostgreSQL, NATS, Kafka, ingest and fanout in turn under load, stops PostgreSQL for OUTAGE_SECONDS, and compares alarms with a reference, commands and audit with ledgers. FAULTS=alarms,control,postgres,nats,kafka,ingest,fanout,alarms-pause,…,postgres-outage OUTAGE_SECONDS=600 MACHINES=16
	@exec node test/control-chaos/control-chaos.ts $(if $(FAULTS),--faults $(FAULTS)) --machines $(or $(MACHINES),16) --seconds $(or $(SECONDS),5) \
		--outage-seconds $(or $(OUTAGE_SECONDS),600) --limit-seconds $(or $(LIMIT_SECONDS),2400) --data $(or $(DATA),data/control-chaos)

fuzz: setup ## Repeats the seeded tests of parsers with one seed after the other, and prints the seed of a failure. SECONDS=300 SEED=17 FACTOR=10 ONLY=part-of-a-file-name; SECONDS=0 is one pass
	@exec node test/fuzz/fuzz.ts --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED)) $(if $(FACTOR),--factor $(FACTOR)) $(if $(ONLY),--only '$(ONLY)') $(if $(JOBS),--jobs $(JOBS))

sizing: setup ## Measures the capacity of one fanout node and one ingest, and writes it into docs/OPERATIONS.md
	node loadtest/bench/sizing.ts

attack: setup ## Runs the attacks of test/attack beside honest clients, and prints a table. ATTACK=name,… TARGET=standalone|stack SIZE=small
	@exec node test/attack/attack.ts --attack '$(ATTACK)' --target '$(TARGET)' --size $(or $(SIZE),full) --data $(or $(DATA),data/attack)

simulate: setup ## Runs whole clusters under virtual time, with random failures, and checks the invariants. SEEDS=200 FIRST=1; SEED=17 prints each event
	@exec node test/simulation/simulate.ts $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),200) --first $(or $(FIRST),1))

simulate-mutations: setup ## Disables one mechanism at a time, and shows at which seed the simulation detects it. SEEDS=200
	@exec node test/simulation/mutation-table.ts --seeds $(or $(SEEDS),200)

version: $(INSTALLED) ## Sets the version in all files. VERSION=0.2.0; without it, prints the current one
	@$(if $(VERSION),npm version '$(VERSION)' --silent --workspaces --include-workspace-root --no-git-tag-version --no-workspaces-update --allow-same-version >/dev/null)
	@$(if $(VERSION),npm install --silent --package-lock-only --offline --ignore-scripts)
	@node scripts/version.ts $(if $(VERSION),--spread)

release-check: setup ## Checks whether this commit can be released: version, changelog, clean tree, the packed client. TAG=v0.1.0 TARBALL=file REPOSITORY=https://…
	@node scripts/release-check.ts $(if $(TAG),--tag $(TAG)) $(if $(TARBALL),--tarball $(TARBALL)) $(if $(REPOSITORY),--repository $(REPOSITORY))

token: $(INSTALLED) ## Signs a token with TAILRACE_TOKEN_SECRET and prints it. SUBSCRIBE='plant1.>' PUBLISH='plant1.>' COMMAND='plant1.>' ROLE=operator SUBJECT=me ID=t1 HOURS=1
	@node scripts/token.ts $(if $(SUBSCRIBE),--subscribe '$(SUBSCRIBE)') $(if $(PUBLISH),--publish '$(PUBLISH)') $(if $(COMMAND),--command '$(COMMAND)') $(if $(ROLE),--role '$(ROLE)') \
		$(if $(SUBJECT),--subject '$(SUBJECT)') $(if $(ID),--id '$(ID)') $(if $(HOURS),--hours '$(HOURS)')

command: $(INSTALLED) ## Sends a command to a device of `make demo` or `make stack`, and prints its outcomes. DEVICE=plant1.line2.press1 NAME=set PARAMS='{"speed":3}' SECONDS=10 VIA=gateway DATA=folder
	@exec node scripts/command.ts --device '$(DEVICE)' --name '$(NAME)' $(if $(PARAMS),--params '$(PARAMS)') $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(VIA),--via '$(VIA)') $(if $(QOS),--qos '$(QOS)') $(if $(ID),--id '$(ID)') $(if $(DATA),--data '$(DATA)')

images: $(INSTALLED) ## Builds the images of the services, and prints their sizes. SERVICES='fanout ingest' TAG=1.2.3 PREFIX=registry.example/tailrace
	@node scripts/images.ts $(SERVICES) $(if $(TAG),--tag $(TAG)) $(if $(PREFIX),--prefix $(PREFIX))

loadtest: $(INSTALLED) ## Runs a k6 scenario, or devices by MQTT and WebSocket (SCENARIO=devices), against `make stack`, or TARGET= INGEST= TOKEN=. loadtest/k6/README.md has all options
	@exec node loadtest/k6/run.ts $(or $(SCENARIO),smoke)

cluster-test: $(INSTALLED) ## Installs the chart on the Kubernetes cluster of KUBECONFIG, disturbs it, and counts what subscribers lost. TAILRACE_IMAGE_LOAD='kind load image-archive' or TAILRACE_IMAGE_REGISTRY=host/folder; NAMESPACE=name CLIENTS=120 KEEP=1
	@exec node --test-reporter=spec test/cluster/cluster.ts

deploy/.env: | $(INSTALLED)
	@(umask 077; node scripts/compose-env.ts >$@.new) && mv $@.new $@

compose: deploy/.env ## Runs Tailrace in containers: Kafka, NATS, two fanout nodes behind nginx. PROFILE=observability adds Prometheus, Grafana, Tempo
	$(if $(filter observability,$(PROFILE)),TAILRACE_TRACING_URL=http://collector:4318/v1/traces) docker compose -f deploy/compose.yaml $(if $(PROFILE),--profile $(PROFILE)) up -d --wait

compose-down: deploy/.env ## Stops what `make compose` started, and removes its data
	docker compose -f deploy/compose.yaml --profile '*' down -v

docs-test: $(INSTALLED) ## Runs the commands of docs/OPERATIONS.md, INTEGRATE.md, EDGE.md, OPCUA.md, CONTROL.md and NOTIFICATIONS.md as they stand, in a copy of the tree. SETTING=laptop, compose (Docker), cluster (KUBECONFIG)
	@node test/docs/run.ts $(or $(SETTING),laptop)
