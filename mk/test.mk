# Tests. scripts/test runs the stages; the rules here build what they run.

UNIT_SOURCES := $(shell find test/unit -name 'test_*.c' 2>/dev/null | sort)
UNITS := $(UNIT_SOURCES:test/unit/%.c=$(B)/test/%)
FUZZ_SOURCES := $(shell find test/fuzz -name 'fuzz_*.c' 2>/dev/null | sort)
FUZZERS := $(FUZZ_SOURCES:test/fuzz/%.c=$(B)/fuzz/%)

.PHONY: test units unit fuzzers check-style layers bench soak format

test: ## everything: both architectures, style, unit, sanitizers, fuzzers, end to end, aarch64 in QEMU
	@scripts/test

units: $(UNITS)

unit: $(UNITS) ## build and run the unit tests for ARCH
	@scripts/run-tests unit $(UNITS)

format: ## let clang-format write the C files
	@scripts/format

check-style: ## format, sizes, forbidden words
	@scripts/check-style

layers: ## which folder may include which
	@scripts/layers

bench: $(B)/penstock ## measure, as a table (arguments in ARGS)
	@PENSTOCK=$(B)/penstock scripts/bench $(ARGS)

soak: $(B)/penstock ## run under load for SOAK_SECONDS (test/soak/*)
	@SOAK_SECONDS=$(or $(SOAK_SECONDS),600) scripts/run-programs test/soak $(B)/penstock

# A unit test is one file linked with everything but main.o. Its own warnings count like the program's.
$(B)/test/%: test/unit/%.c $(LIB)
	@mkdir -p $(@D)
	@echo '  TEST    $@'
	@$(CC_OWN) $(CFLAGS_OWN) $(WARNINGS) $(INCLUDES) -I. -Itest/unit $(DEPS_CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS_OWN) \
	    $(MALLOC_OBJ) $< $(LIB) $(DEPS_LIBS) -lm -o $@

$(B)/fuzz/%: test/fuzz/%.c $(LIB)
	@mkdir -p $(@D)
	@echo '  FUZZ    $@'
	@$(CC_OWN) $(CFLAGS_OWN) $(WARNINGS) -Wno-missing-prototypes $(INCLUDES) -I. -Itest/unit $(DEPS_CFLAGS) -MMD -MP -MF $@.d \
	    $(subst fuzzer-no-link,fuzzer,$(SAN)) -pthread $< $(LIB) $(DEPS_LIBS) -lm -o $@

fuzzers: $(FUZZERS)

-include $(addsuffix .d,$(UNITS) $(FUZZERS))
