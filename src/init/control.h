/* The serving side of box/control.h: two sockets, and for each connection a child (the worker) that reads the request, starts
 * `/bin/penstock box --from ...` with the caller's descriptors, and answers with its exit status. Who may run what is decided there
 * (box/request.h); here, who may ask at all: the peer's user, by SO_PEERCRED. */
#ifndef PENSTOCK_INIT_CONTROL_H
#define PENSTOCK_INIT_CONTROL_H

#include "box/control.h"
#include "init/child.h"
#include "init/log_hub.h"

#define CONTROL_REQUEST_MS 10000 /* for the request to come */
#define CONTROL_CANCEL_MS  5000  /* from SIGTERM to SIGKILL for a command whose caller has gone */
#define CONTROL_WAITING_MAX \
    16 /* connections beyond CONTROL_RUNNING_MAX that are told so; further ones are closed */

struct control {
    struct loop *loop;
    struct log_hub *log;
    const char *program; /* "/bin/penstock" */
    enum box_user peer;  /* who may ask, besides root */
    bool console;
    int socket;
    uint32_t *running; /* of both sockets together */
};

/* Listens. False: it could not (said in the log). */
bool control_open(struct control *c, const char *path);
void control_close(struct control *c);

/* The worker, on one connection, until it ends: an exit status. busy: the answer is that there are too many. */
int control_serve(int connection, const char *program, uid_t peer, bool console, bool busy);

#endif
