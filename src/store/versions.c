/* Kept versions: the list and its rules; see versions.h. The file itself: versions_json.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/versions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct versions *versions_new(void)
{
    struct versions *v = xcalloc(1, sizeof *v);
    arena_init(&v->arena);
    return v;
}

void versions_free(struct versions *v)
{
    if (!v)
        return;
    for (uint32_t i = 0; i < v->edition_count; i++)
        catalog_free(v->editions[i]->contract);
    arena_fini(&v->arena);
    free(v);
}

/* ---- the lock ---- */

struct err *versions_lock(const char *dir, int *fd)
{
    struct stat st;
    char *path = xprintf("%s/versions.lock", dir);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct err *e = *fd < 0 ? err_errno(ERR_IO, "cannot open %s", path) : NULL;
    if (!e && geteuid() == 0 && stat(dir, &st) == 0 && st.st_uid != 0 && fchown(*fd, st.st_uid, st.st_gid))
        e = err_errno(ERR_IO, "cannot give %s to its owner", path);
    while (!e && flock(*fd, LOCK_EX))
        if (errno != EINTR)
            e = err_errno(ERR_IO, "cannot lock %s", path);
    if (e && *fd >= 0)
        close(*fd);
    free(path);
    return e;
}

void versions_unlock(int fd)
{
    close(fd);
}

/* ---- the list ---- */

struct edition *versions_find(const struct versions *v, uint32_t number)
{
    for (uint32_t i = 0; i < v->edition_count; i++)
        if (v->editions[i]->complete && v->editions[i]->number == number)
            return v->editions[i];
    return NULL;
}

struct edition *versions_newest(const struct versions *v)
{
    struct edition *newest = NULL;
    for (uint32_t i = 0; i < v->edition_count; i++)
        if (v->editions[i]->complete && (!newest || v->editions[i]->number > newest->number))
            newest = v->editions[i];
    return newest;
}

struct edition *versions_building(const struct versions *v)
{
    for (uint32_t i = 0; i < v->edition_count; i++)
        if (!v->editions[i]->complete)
            return v->editions[i];
    return NULL;
}

uint32_t versions_complete(const struct versions *v)
{
    return v->edition_count - (versions_building(v) != NULL);
}

struct edition *versions_add(struct versions *v, uint32_t number)
{
    ASSERT(v->edition_count < ARRAY_COUNT(v->editions));
    struct edition *e = ARENA_NEW(&v->arena, struct edition);
    e->edition = ++v->last_edition;
    e->number = number;
    v->editions[v->edition_count++] = e;
    return e;
}

void versions_remove(struct versions *v, const struct edition *e)
{
    uint32_t at = 0;
    while (at < v->edition_count && v->editions[at] != e)
        at++;
    ASSERT(at < v->edition_count);
    catalog_free(v->editions[at]->contract);
    v->editions[at]->contract = NULL;
    for (; at + 1 < v->edition_count; at++)
        v->editions[at] = v->editions[at + 1];
    v->edition_count--;
}

void versions_finish(struct versions *v, struct edition *e)
{
    struct edition *before = versions_find(v, e->number);
    ASSERT(!e->complete);
    e->complete = true;
    v->last_number = e->number > v->last_number ? e->number : v->last_number;
    if (before)
        versions_remove(v, before);
    if (!v->current)
        v->current = e->number;
}

/* ---- the gate ---- */

static bool word_set(atomic_uint *word, unsigned value)
{
    return atomic_exchange(word, value) != value;
}

static bool number_is_kept(const struct versions *v, unsigned number)
{
    return number && versions_find(v, number);
}

/* The place of a version that is told already, or a free one. */
static struct gate_version *place_of(struct gate *gate, unsigned number)
{
    struct gate_version *free_place = NULL;
    for (uint32_t i = 0; i < GATE_VERSIONS_MAX; i++) {
        unsigned found = atomic_load(&gate->versions[i].number);
        if (found == number)
            return &gate->versions[i];
        if (!found && !free_place)
            free_place = &gate->versions[i];
    }
    ASSERT(free_place);
    return free_place;
}

/* In this order a reader finds the current version in the list at any moment: those that come, which one is current, those
 * that go. An entry's edition is there before its number. */
bool versions_publish(const struct versions *v, struct gate *gate)
{
    bool changed = false;
    for (uint32_t i = 0; i < v->edition_count; i++) {
        const struct edition *e = v->editions[i];
        if (!e->complete)
            continue;
        struct gate_version *place = place_of(gate, e->number);
        changed |= word_set(&place->edition, e->edition);
        changed |= word_set(&place->number, e->number);
    }
    changed |= word_set(&gate->version_last, v->last_number);
    changed |= word_set(&gate->version, v->current);
    for (uint32_t i = 0; i < GATE_VERSIONS_MAX; i++)
        if (atomic_load(&gate->versions[i].number) &&
            !number_is_kept(v, atomic_load(&gate->versions[i].number)))
            changed |= word_set(&gate->versions[i].number, 0);
    if (changed)
        atomic_fetch_add(&gate->version_changes, 1);
    return changed;
}
