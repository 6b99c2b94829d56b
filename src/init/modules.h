/* Kernel modules: which are needed for a device's modalias, in which order, and loading them.
 *
 * Reads modules.dep, modules.alias and modules.softdep of DIR as depmod writes them; all are text of the image, but are read
 * as foreign input. A name is looked up as a module first, then as an alias. Of a module, first what it depends on and its soft
 * "pre" dependencies, each once. What cannot be loaded is counted and not tried again. One thread. */
#ifndef PENSTOCK_INIT_MODULES_H
#define PENSTOCK_INIT_MODULES_H

#include "base/err.h"

#define MODULES_FILE_MAX  (8 << 20) /* bytes of one of the three files */
#define MODULES_MAX       8192
#define MODULES_DEPTH_MAX 16
#define MODULE_NAME_MAX   64

/* path: below DIR. 0, or an errno. */
typedef int modules_load_fn(void *arg, const char *path);

struct modules;
/* load: NULL for finit_module. ERR_IO: there is no modules.dep. */
NODISCARD struct err *modules_open(const char *dir, modules_load_fn *load, void *arg, struct modules **out);
/* The same from texts, which are copied; for the fuzzer. */
struct modules *modules_parse(const char *dep, size_t dep_len, const char *alias, size_t alias_len,
                              const char *soft, size_t soft_len, modules_load_fn *load, void *arg);
void modules_free(struct modules *m);

/* By name or alias. False: unknown, or it could not be loaded. */
bool modules_load(struct modules *m, const char *name);
/* Everything whose alias matches a device's modalias. Returns how many modules were loaded by that. */
uint32_t modules_match(struct modules *m, const char *modalias);
/* All devices below `devices` ("/sys/devices"); again until nothing new comes, as buses bring devices. Returns how many were loaded. */
uint32_t modules_coldplug(struct modules *m, const char *devices);

uint32_t modules_loaded(const struct modules *m);
uint32_t modules_failed(const struct modules *m);
const char *modules_failure(const struct modules *m); /* the last one: "NAME: TEXT"; "" without */

#endif
