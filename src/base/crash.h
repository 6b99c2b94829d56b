/* Crash reports: a process that dies of a fatal signal (a wild pointer, a panic, a watchdog's SIGABRT) first leaves a text
 * file DIR/PROCESS-TIME-PID.txt that says who, where and how far it had come. It holds addresses of code, numbers that
 * were registered and the panic's text; nothing of the process's memory, so that no secret gets into it.
 *
 * The signal then takes its course: whoever waits for the process sees the signal. Core dumps are switched off
 * (crash_no_dumps), as they would hold everything. Under the address and thread sanitizers nothing is installed: they
 * have their own reports. */
#ifndef PENSTOCK_BASE_CRASH_H
#define PENSTOCK_BASE_CRASH_H

#include "base/base.h"
#include <stdatomic.h>

#define CRASH_REPORTS_MAX 16 /* newest reports that are kept in a directory */
#define CRASH_FRAMES_MAX  64 /* of the backtrace */
#define CRASH_NOTES_MAX   8

/* For the process; from then on every thread reports. dir is made if need be (0700), old reports beyond
 * CRASH_REPORTS_MAX are removed. process: a static name. False: there will be no reports (errno). */
bool crash_install(const char *process, const char *dir);
/* A number that is printed in the report; both must live as long as the process. */
void crash_note(const char *name, const atomic_ullong *value);
/* The calling thread: its name in reports and in /proc (cut at 15 bytes), and a stack of its own for reports, so that
 * one that has overflown its stack reports, too. Freed by crash_thread_end. */
void crash_thread(const char *fmt, ...) PRINTF_LIKE(1, 2);
void crash_thread_end(void);
/* Neither a core dump nor a debugger of the same user sees this process's memory. */
void crash_no_dumps(void);
/* The text of a panic, for the report. Any thread; the first one stays. */
void crash_message(const char *text);
/* The path (malloc'ed) of the report that process `pid` left in dir, or NULL. */
char *crash_report_of(const char *dir, int pid);

#endif
