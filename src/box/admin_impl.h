/* Between admin.c and session.c. */
#ifndef PENSTOCK_BOX_ADMIN_IMPL_H
#define PENSTOCK_BOX_ADMIN_IMPL_H

#include "box/admin.h"

NODISCARD struct err *session_new(const struct admin *a, char token[ADMIN_TOKEN_BYTES]);
void admin_random(void *p, size_t len);

#endif
