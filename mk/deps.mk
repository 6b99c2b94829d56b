# Toolchain and libraries: scripts/deps builds them into the cache and writes build/ARCH/deps.mk, which says where they are.

.PHONY: setup deps deps-update-lock

setup: ## install the Debian packages for building and testing
	scripts/setup

deps: ## build the toolchain and the libraries for ARCH (cached)
	scripts/deps $(ARCH)

deps-update-lock: ## take the versions that Debian has now into deps/lock
	scripts/deps-update-lock

# Targets that compile nothing need no deps.mk; everything else makes it first, whenever something it depends on changed.
DEPS_MK := build/$(ARCH)/deps.mk
NO_DEPS := help setup deps deps-update-lock clean check-style layers test format image image-sizes qemu
ifneq ($(filter-out $(NO_DEPS),$(or $(MAKECMDGOALS),all)),)
PGTLS := $(wildcard src/source/pgtls/fe-secure-mbedtls.c)
$(DEPS_MK): deps/lock deps/toolchain.sh deps/recipes $(wildcard deps/recipes/*.sh) $(PGTLS) scripts/deps
	@scripts/setup build run
	@scripts/deps $(ARCH)
	@touch $@
include $(DEPS_MK)
endif
