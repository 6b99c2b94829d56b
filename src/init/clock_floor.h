/* The time that it is at least: when the image was built, or the latest time that the box has known. A box without a clock of its own
 * starts at the floor, so that certificates are valid and time never goes back over what was logged. */
#ifndef PENSTOCK_INIT_CLOCK_FLOOR_H
#define PENSTOCK_INIT_CLOCK_FLOOR_H

#include "base/err.h"

#define CLOCK_YEARS_AFTER_BUILD 10                  /* a later time is believed of nobody */
#define CLOCK_LEAST_S           INT64_C(1767225600) /* 2026: the floor of an image that does not say when it was made */

/* Unix seconds at which the image was built, from "created" of image.json; CLOCK_LEAST_S without one. */
int64_t clock_build_time(const char *image_json);
/* The later of the two; what clock_file says is not believed past the ceiling. */
int64_t clock_floor(const char *image_json, const char *clock_file);
int64_t clock_ceiling(int64_t build_s);
/* Sets the machine's clock to the floor if it is before it, or to that if it is past the ceiling. */
NODISCARD struct err *clock_floor_apply(int64_t floor_s, int64_t ceiling_s);
/* Remembers the time now; durable. */
NODISCARD struct err *clock_save(const char *clock_file, int64_t now_s);

#endif
