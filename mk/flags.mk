# How our own code is compiled and linked.

SAN ?=
ifeq ($(ARCH),native)
CC_OWN := $(or $(CC_NATIVE),gcc)
OBJCOPY := objcopy
STRIP := strip
AR := ar
ARCHFLAGS := -fPIC
LDFLAGS_OWN := -pthread
MALLOC_OBJ :=
else
CC_OWN := $(DEPS_CROSS)gcc
OBJCOPY := $(DEPS_CROSS)objcopy
STRIP := $(DEPS_CROSS)strip
AR := $(DEPS_CROSS)ar
ARCHFLAGS_x86_64 := -march=x86-64
ARCHFLAGS_aarch64 := -march=armv8-a -moutline-atomics
ARCHFLAGS := $(ARCHFLAGS_$(ARCH)) -fPIE -ffunction-sections -fdata-sections -fstack-protector-strong
# Crash reports walk the stack by the unwind tables, which the linker indexes for dynamic programs alone unless told.
LDFLAGS_OWN := -static-pie -Wl,--gc-sections -Wl,--eh-frame-hdr
MALLOC_OBJ := $(MIMALLOC_OBJ)
endif

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Wstrict-prototypes -Wmissing-prototypes -Werror
OPT ?= -O2
CFLAGS_OWN := -std=gnu17 $(OPT) -g -fno-strict-aliasing $(ARCHFLAGS) $(SAN) -pthread
# The repository's own path stays out of the binaries, so that a build is the same wherever it is made.
CFLAGS_OWN += -ffile-prefix-map=$(CURDIR)/=
INCLUDES := -Isrc -I$(B)/gen
