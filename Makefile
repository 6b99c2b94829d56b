# Penstock. `make help` lists the targets; how it is put together stands in mk/*.mk.

ARCH ?= $(shell uname -m)
B ?= build/$(ARCH)

.DEFAULT_GOAL := all
include mk/help.mk
include mk/deps.mk
include mk/flags.mk
include mk/build.mk
include mk/sanitize.mk
include mk/test.mk
include mk/image.mk
