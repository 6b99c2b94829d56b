/* One line per event on stderr: time, level, component, key=value pairs (or JSON with --log json).
 *
 * Values are quoted when they need it. Never pass a secret: there is no way to take it back. Any thread; one
 * write(2) per line. */
#ifndef PENSTOCK_BASE_LOG_H
#define PENSTOCK_BASE_LOG_H

#include "base/base.h"
#include "base/events.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

void log_setup(enum log_level least, enum log_format format, const char *process_name);

bool log_is_json(void);

/* msg is a fixed sentence; fmt gives "key=%s key2=%d" pairs separated by one space, a value that may hold
 * blanks written as key="%s" (quotes and control characters inside are escaped when the line is written). */
void log_line(enum log_level level, const char *component, const char *msg, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* The same, of a change of a state: the line has event=NAME. Of one event about one subject (the first pair) at most
 * LOG_REPEATS_MAX lines are written in LOG_REPEATS_S; the next one says as repeats_dropped how many were not. */
void log_event(enum log_event event, enum log_level level, const char *component, const char *msg,
               const char *fmt, ...) PRINTF_LIKE(5, 6);
#define LOG_REPEATS_MAX 10
#ifndef LOG_REPEATS_S /* a test does not wait so long */
#define LOG_REPEATS_S 60
#endif
#define log_debug(component, msg, ...) log_line(LOG_DEBUG, component, msg, __VA_ARGS__)
#define log_info(component, msg, ...)  log_line(LOG_INFO, component, msg, __VA_ARGS__)
#define log_warn(component, msg, ...)  log_line(LOG_WARN, component, msg, __VA_ARGS__)
#define log_error(component, msg, ...) log_line(LOG_ERROR, component, msg, __VA_ARGS__)

#endif
