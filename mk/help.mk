# Every target that a person may want carries a `## text` behind its name; `make help` prints those.

.PHONY: help
help: ## this list
	@echo 'make [TARGET] [ARCH=x86_64|aarch64]'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | \
	    awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'
	@echo 'Variables: PENSTOCK_CACHE (toolchains and libraries, default ~/.cache/penstock), PENSTOCK_MIRROR (directory of'
	@echo 'source tarballs for builds without a network), FUZZ_SECONDS (per fuzzer, default 10), FUZZ_SEED (0: random), JOBS (default 2).'
