/* One line per event on stderr: time, level, component, key=value pairs (or JSON with --log json).
 *
 * Values are quoted when they need it. Never pass a secret: there is no way to take it back. Any thread; one
 * write(2) per line. */
#ifndef PENSTOCK_BASE_LOG_H
#define PENSTOCK_BASE_LOG_H

#include "base/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

void log_setup(enum log_level least, enum log_format format, const char *process_name);

/* msg is a fixed sentence; fmt gives "key=%s key2=%d" pairs separated by one space, a value that may hold
 * blanks written as key="%s" (quotes and control characters inside are escaped when the line is written). */
void log_line(enum log_level level, const char *component, const char *msg, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
#define log_debug(component, msg, ...) log_line(LOG_DEBUG, component, msg, __VA_ARGS__)
#define log_info(component, msg, ...)  log_line(LOG_INFO, component, msg, __VA_ARGS__)
#define log_warn(component, msg, ...)  log_line(LOG_WARN, component, msg, __VA_ARGS__)
#define log_error(component, msg, ...) log_line(LOG_ERROR, component, msg, __VA_ARGS__)

#endif
