# The same sources with glibc, for the sanitizers and the fuzzers: another build directory each, by calling make again.
# ARCH=native is a plain glibc build (build/native); the variants share its libraries.

CLANG := $(firstword $(foreach v,19 18 17 16 15 14,$(if $(shell command -v clang-$(v)),clang-$(v))) clang)

.PHONY: asan tsan fuzz

ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# What test/e2e/test_rest.py drives the server with.
SERVE_TOOLS := test/serve/fill_store test/serve/serve_only

TSAN := -fsanitize=thread -fno-omit-frame-pointer

asan: ## build with address and undefined-behaviour sanitizers into build/native-asan
	@$(MAKE) ARCH=native B=build/native-asan OPT=-O1 SAN='$(ASAN)' all units $(SERVE_TOOLS:%=build/native-asan/%)

tsan: ## build with the thread sanitizer into build/native-tsan: the tests of what threads run
	@$(MAKE) ARCH=native B=build/native-tsan OPT=-O1 SAN='$(TSAN)' units-threaded

fuzz: ## build the fuzzers (clang, libFuzzer) and run each for FUZZ_SECONDS
	@$(MAKE) ARCH=native B=build/native-fuzz CC_NATIVE=$(CLANG) OPT=-O1 \
	    SAN='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all' fuzzers
	scripts/fuzz build/native-fuzz/fuzz
