# The appliance: scripts/image builds the disk image of a board; docs/appliance.md.

BOARD ?= qemu-virt

.PHONY: image
image: ## build the disk image of BOARD (generic-uefi, qemu-virt) for flashing: [VERSION=] [KEYS=folder of *.pub]
	@scripts/image $(BOARD) $(if $(VERSION),--version '$(VERSION)') $(if $(KEYS),--keys '$(KEYS)')
