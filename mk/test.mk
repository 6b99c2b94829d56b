# Tests. scripts/test runs the stages; the rules here build what they run.

UNIT_SOURCES := $(shell find test/unit -name 'test_*.c' 2>/dev/null | sort)
UNITS := $(UNIT_SOURCES:test/unit/%.c=$(B)/test/%)
# Whose code is run by several threads, or starts some: for the thread sanitizer.
THREADED_DIRS := base cli flow plan serve source store
THREADED_UNITS := $(filter $(THREADED_DIRS:%=$(B)/test/%/%),$(UNITS))
FUZZ_SOURCES := $(shell find test/fuzz -name 'fuzz_*.c' 2>/dev/null | sort)
FUZZERS := $(FUZZ_SOURCES:test/fuzz/%.c=$(B)/fuzz/%)

.PHONY: test units units-threaded unit fuzzers check-style layers bench soak format

test: ## everything: both architectures, style, unit, sanitizers, fuzzers, end to end, aarch64 in QEMU
	@scripts/test

units: $(UNITS)
units-threaded: $(THREADED_UNITS)

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

# 200 rounds of kills in place of 20, long differential runs, thousands of random queries, thousands of power cuts, fuzzers, a day of a box. SOAK_LIMIT bounds each program.
# With SEEDS=N: N seeds of the simulation under faults alone, from START, or from one that the time of day gives. A seed that finds something is
# printed at once, with the command that repeats it.
ifdef SEEDS
soak: $(B)/test/flow/test_faults
	@FAULT_SEEDS=$(SEEDS) FAULT_START=$(or $(START),$(shell date +%s)00000) $<
else
soak: $(B)/penstock $(UNITS) ## the slow tests: the same programs for many more rounds; SEEDS=N [START=M]: N simulated stories with faults
	@STORE_KILLS=1500 STORE_CRASH_POINTS=5000 PENSTOCK_TEST_SCALE=1000 TEST_SECONDS=$(or $(SOAK_LIMIT),7200) \
	    scripts/run-tests soak $(B)/test/store/test_crash $(B)/test/store/test_power_cut $(B)/test/flow/test_interleave $(B)/test/flow/test_simulate
	@FAULT_SEEDS=20000 TEST_SECONDS=$(or $(SOAK_LIMIT),7200) scripts/run-tests soak $(B)/test/flow/test_faults
	@FUZZ_SEED=0 FUZZ_SECONDS=300 $(MAKE) fuzz
	@SOAK=1 PENSTOCK=$(CURDIR)/$(B)/penstock TEST_SECONDS=$(or $(SOAK_LIMIT),7200) scripts/run-tests soak \
	    test/e2e/test_crash.py test/e2e/test_differential.py test/e2e/test_random_queries.py test/e2e/soak_tester.py test/e2e/test_bank_invariant.py test/e2e/test_soak_short.py
endif

# The program's allocations, counted by the test.
$(B)/test/ops/test_state_bytes: TEST_LDFLAGS = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free

$(B)/test/serve/test_compress: TEST_LDFLAGS = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc

# What a request costs the server in allocations and writes, counted for test/e2e/test_serving.py.
$(B)/test/serve/serve_counted: TEST_LDFLAGS = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=send

# The calls of which test/unit/sim makes a simulated world, and those that test_faults plants bugs in.
SIM_CALLS := open close read pread write pwrite pwritev fsync fdatasync sync_file_range fallocate ftruncate rename unlink mkdir \
    malloc calloc realloc free panic_at clock_gettime nanosleep usleep getrandom mdbp_env_open mdb_put mdb_del mdb_txn_commit \
    graph_close op_exchange_receive store_checkpoint coordinator_store_positions store_pin store_del hash_bytes128
$(B)/test/flow/test_faults: TEST_LDFLAGS = $(SIM_CALLS:%=-Wl,--wrap=%)

# What is written to the identity partition, in which order.
$(B)/test/box/test_identity: TEST_LDFLAGS = -Wl,--wrap=pwrite,--wrap=fsync

# A unit test is one file linked with everything but main.o. Its own warnings count like the program's.
$(B)/test/%: test/unit/%.c $(LIB)
	@mkdir -p $(@D)
	@echo '  TEST    $@'
	@$(CC_OWN) $(CFLAGS_OWN) $(WARNINGS) $(INCLUDES) -I. -Itest/unit $(DEPS_CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS_OWN) $(TEST_LDFLAGS) \
	    $(MALLOC_OBJ) $< $(LIB) $(DEPS_LIBS) -lm -o $@

# The program with a clock that test/e2e/test_clock_jumps.py sets.
$(B)/test/moved_clock: test/tools/moved_clock.c $(MAIN_OBJ) $(LIB)
	@mkdir -p $(@D)
	@$(CC_OWN) $(CFLAGS_OWN) $(INCLUDES) $(DEPS_CFLAGS) $(LDFLAGS_OWN) -Wl,--wrap=clock_gettime $(MALLOC_OBJ) $(MAIN_OBJ) $< $(LIB) $(DEPS_LIBS) -lm -o $@

$(B)/fuzz/%: test/fuzz/%.c $(LIB)
	@mkdir -p $(@D)
	@echo '  FUZZ    $@'
	@$(CC_OWN) $(CFLAGS_OWN) $(WARNINGS) -Wno-missing-prototypes $(INCLUDES) -I. -Itest/unit $(DEPS_CFLAGS) -MMD -MP -MF $@.d \
	    $(subst fuzzer-no-link,fuzzer,$(SAN)) -pthread $< $(LIB) $(DEPS_LIBS) -lm -o $@

fuzzers: $(FUZZERS)

# The program with one changed copy of a source file before the library that holds the original: for test/e2e/soak_tester.py,
# which plants faults. PLANTED: the folder with the copy, file.c.
.PHONY: planted
planted: $(MAIN_OBJ) $(LIB)
	@$(CC_OWN) $(CFLAGS_OWN) $(INCLUDES) $(DEPS_CFLAGS) -c $(PLANTED)/file.c -o $(PLANTED)/file.o
	@$(CC_OWN) $(CFLAGS_OWN) $(LDFLAGS_OWN) $(MALLOC_OBJ) $(MAIN_OBJ) $(PLANTED)/file.o $(LIB) $(DEPS_LIBS) -lm -o $(PLANTED)/penstock

-include $(addsuffix .d,$(UNITS) $(FUZZERS))
