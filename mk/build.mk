# The program: every src/**/*.c (but libpq's TLS backend, which is compiled into libpq), the assets of the web console,
# the time zones, Unicode's tables, and midl.c of LMDB.

SOURCES := $(shell find src -name '*.c' -not -path 'src/source/pgtls/*' | sort)
ASSETS := $(shell find src/serve/www -type f 2>/dev/null | sort)
OBJECTS := $(SOURCES:src/%.c=$(B)/obj/%.o) $(B)/obj/lmdb/midl.o $(B)/obj/assets.o $(B)/obj/zones.o $(B)/obj/unicode.o
MAIN_OBJ := $(B)/obj/main.o
INIT_OBJ := $(B)/obj/init/main.o # PID 1 of the appliance: a small program of its own
LIB := $(B)/libpenstock.a

.PHONY: all run clean FORCE

all: $(B)/penstock $(B)/init ## build the program for ARCH (default: this machine's), static

run: $(B)/penstock ## build it and start examples/bank (other arguments in ARGS)
	$(B)/penstock $(or $(ARGS),run -c examples/bank/penstock.yaml)

clean: ## remove build/ (the cache of libraries stays)
	rm -rf build

$(B)/obj/%.o: src/%.c $(DEPS_MK) $(B)/gen/assets.h
	@mkdir -p $(@D)
	@echo '  CC      $@'
	@$(CC_OWN) $(CFLAGS_OWN) $(WARNINGS) $(INCLUDES) $(EXTRA_CFLAGS) $(DEPS_CFLAGS) -MMD -MP -c $< -o $@

# PostgreSQL's internal headers: for this folder only, and before every other library's.
$(B)/obj/sql/pgq/%.o: EXTRA_CFLAGS = $(PGQ_CFLAGS) -fwrapv
# LMDB's mdb.c comes into this file by #include: its warnings are upstream's.
$(B)/obj/store/mdb_private.o: EXTRA_CFLAGS = -I$(LMDB_SRC) -w -ffile-prefix-map=$(LMDB_SRC)/=

$(B)/obj/lmdb/midl.o: $(DEPS_MK)
	@mkdir -p $(@D)
	@$(CC_OWN) $(CFLAGS_OWN) -w -c $(LMDB_SRC)/midl.c -o $@

# The console's files as C arrays. Only the generated source changes when they do; assets.h is fixed text.
$(B)/gen/assets.h $(B)/gen/assets.c &: scripts/embed-assets $(ASSETS)
	@mkdir -p $(@D)
	@scripts/embed-assets $(B)/gen $(ASSETS)

$(B)/obj/assets.o: $(B)/gen/assets.c $(DEPS_MK)
	@mkdir -p $(@D)
	@$(CC_OWN) $(CFLAGS_OWN) $(WARNINGS) $(INCLUDES) -c $< -o $@

# The build machine's time zones: the program has its own, whatever the machine that it runs on has.
$(B)/gen/zones.c: scripts/embed-zones $(wildcard /usr/share/zoneinfo/tzdata.zi) $(DEPS_MK)
	@mkdir -p $(@D)
	@scripts/embed-zones $(B)/gen

$(B)/obj/zones.o: $(B)/gen/zones.c src/types/zone_impl.h
	@mkdir -p $(@D)
	@$(CC_OWN) $(CFLAGS_OWN) $(WARNINGS) $(INCLUDES) -c $< -o $@

# Unicode's normalization, of the build machine's Python.
$(B)/gen/unicode.c: scripts/embed-unicode $(DEPS_MK)
	@mkdir -p $(@D)
	@scripts/embed-unicode $(B)/gen

$(B)/obj/unicode.o: $(B)/gen/unicode.c src/types/unicode_impl.h
	@mkdir -p $(@D)
	@$(CC_OWN) $(CFLAGS_OWN) $(WARNINGS) $(INCLUDES) -c $< -o $@

# A file that was removed or renamed must leave the archive too: the list of objects is compared with the last build's.
$(B)/objects.list: FORCE
	@mkdir -p $(@D)
	@echo '$(OBJECTS)' | cmp -s - $@ || echo '$(OBJECTS)' >$@

$(LIB): $(filter-out $(MAIN_OBJ) $(INIT_OBJ),$(OBJECTS)) $(B)/objects.list
	@echo '  AR      $@'
	@rm -f $@
	@$(AR) rcs $@ $(filter %.o,$^)

# What PID 1 needs of the library and no more: the archive gives what is referred to.
$(B)/init: $(INIT_OBJ) $(LIB)
	@echo '  LINK    $@'
	@$(CC_OWN) $(CFLAGS_OWN) $(LDFLAGS_OWN) $(INIT_OBJ) $(LIB) $(DEPS_LIBS) -lm -o $@.full
	@$(STRIP) --strip-all $@.full -o $@.stripped
	@rm -f $@.full
ifneq ($(ARCH),native)
	@READELF=$(DEPS_CROSS)readelf scripts/check-binary $@.stripped
endif
	@mv $@.stripped $@

$(B)/penstock: $(MAIN_OBJ) $(LIB)
	@echo '  LINK    $@'
	@$(CC_OWN) $(CFLAGS_OWN) $(LDFLAGS_OWN) $(MALLOC_OBJ) $(MAIN_OBJ) $(LIB) $(DEPS_LIBS) -lm -o $@.full
	@$(OBJCOPY) --only-keep-debug $@.full $@.debug
	@$(STRIP) --strip-all $@.full -o $@.stripped
	@cd $(@D) && $(OBJCOPY) --add-gnu-debuglink=penstock.debug penstock.stripped && rm -f penstock.full
ifneq ($(ARCH),native)
	@READELF=$(DEPS_CROSS)readelf scripts/check-binary $@.stripped
endif
	@mv $@.stripped $@

-include $(OBJECTS:.o=.d)
