# The appliance: scripts/image builds the disk image of a board; docs/appliance.md.

BOARD ?= qemu-virt

.PHONY: image image-sizes qemu
image: ## build the disk image of BOARD (generic-uefi, qemu-virt) for flashing: [VERSION=] [KEYS=folder of *.pub]
	@scripts/image $(BOARD) $(if $(VERSION),--version '$(VERSION)') $(if $(KEYS),--keys '$(KEYS)')

qemu: ## boot a box in QEMU: console here, ports on the loopback, SSH key made (a new disk: ARGS=--new)
	@scripts/image qemu-virt
	@scripts/qemu-box $(ARGS)

image-sizes: ## build generic-uefi and write its sizes into docs/appliance.md
	@scripts/image generic-uefi
	@scripts/image-sizes
