/* The events of the log: a fixed vocabulary, so that whoever reads logs by machine can rely on it. Every change of a state is one
 * line with event=NAME; other lines (details, progress) have none. The table is also the reference in docs/operations.md. */
#ifndef PENSTOCK_BASE_EVENTS_H
#define PENSTOCK_BASE_EVENTS_H

/* id, name, fields beside those of every line, what happened */
#define EVENTS(X)                                                                                            \
    X(INSTANCE_STARTED, "instance.started", "version, config, data", "`penstock run` began.")                \
    X(INSTANCE_STOPPING, "instance.stopping", "reason",                                                      \
      "It ends: told to by a signal, or as the first configuration is wrong.")                               \
    X(PROCESS_STARTED, "process.started", "name, pid, starts", "The supervisor started a process.")          \
    X(PROCESS_ENDED, "process.ended", "name, pid, signal or status, delay_ms, report",                       \
      "A process ended that was not told to; it is started again after the delay.")                          \
    X(PROCESS_STOPPED, "process.stopped", "name, pid", "A process ended that was told to.")                  \
    X(PROCESS_LATE, "process.late", "name", "A process did not end in time and is killed.")                  \
    X(PROCESS_STUCK, "process.stuck", "name, looks",                                                         \
      "A process stood still for limits.stuck; it leaves a report and is started anew.")                     \
    X(SHARD_STUCK, "shard.stuck", "shard, looks, epoch", "A shard did; so the pipeline ends.")               \
    X(SHARD_BUSY, "shard.busy", "shard, looks, epoch", "A shard has been at work on one step for long.")     \
    X(LOOP_STUCK, "loop.stuck", "loop, looks, working",                                                      \
      "A serve loop stood still, or was at one step for far too long; so the server ends.")                  \
    X(CONFIG_CHECKING, "config.checking", "file", "A new configuration is judged.")                          \
    X(CONFIG_APPLIED, "config.applied", "file", "It is right: the pipeline starts anew with it.")            \
    X(CONFIG_REFUSED, "config.refused", "file", "It is wrong: the running one goes on.")                     \
    X(PIPELINE_RECOVERING, "pipeline.recovering", "pid", "The pipeline began: the store is put right.")      \
    X(PIPELINE_REBUILDING, "pipeline.rebuilding", "epoch, shards",                                           \
      "The operators' state is rebuilt from the mirrored rows.")                                             \
    X(PIPELINE_RUNNING, "pipeline.running", "epoch, shards, rebuild_ms", "It takes changes in.")             \
    X(PIPELINE_FAILED, "pipeline.failed", "error", "It cannot go on; it ends and is started anew.")          \
    X(PIPELINE_STOPPING, "pipeline.stopping", "epoch", "It was told to end.")                                \
    X(PIPELINE_PAUSED, "pipeline.paused", "reason, free or used, needed or limit, advice",                   \
      "Nothing is taken in for want of room.")                                                               \
    X(PIPELINE_RESUMED, "pipeline.resumed", "reason, seconds", "There is room again.")                       \
    X(SOURCE_CONNECTING, "source.connecting", "source", "Connecting to a source.")                           \
    X(SOURCE_SNAPSHOT, "source.snapshot", "source", "Its rows are read.")                                    \
    X(SOURCE_STREAMING, "source.streaming", "source", "Its changes are followed.")                           \
    X(SOURCE_AWAY, "source.away", "source, error", "It is lost or cannot be reached; tried again.")          \
    X(SOURCE_FAILED, "source.failed", "source, error",                                                       \
      "It cannot be followed; somebody has to do something.")                                                \
    X(SOURCE_STOPPED, "source.stopped", "source", "It is no longer followed: the pipeline stops.")           \
    X(TABLE_STOPPED, "table.stopped", "source, table, reason",                                               \
      "A table changed at the source and can no longer be followed.")                                        \
    X(VIEW_BUILDING, "view.building", "view",                                                                \
      "A view is being filled; until it is complete it answers 503.")                                        \
    X(VIEW_READY, "view.ready", "view, epoch", "It is complete.")                                            \
    X(VIEW_STOPPED, "view.stopped", "view, reason",                                                          \
      "A table that it reads was stopped; it is served as it was.")                                          \
    X(VIEW_INCOMPLETE, "view.incomplete", "view, rows, error",                                               \
      "Some rows are left out of it: `penstock errors`.")                                                    \
    X(VIEW_HEALED, "view.healed", "view", "It has all rows again.")                                          \
    X(VERSION_BUILDING, "version.building", "version, edition, change",                                      \
      "A change of the contracts is built beside what is served.")                                           \
    X(VERSION_COMPLETE, "version.complete", "version, edition", "It is complete, and served.")               \
    X(VERSION_SWITCHED, "version.switched", "from, to", "Unpinned paths go over to another version.")        \
    X(VERSION_RETIRED, "version.retired", "edition",                                                         \
      "It is no longer served; the pipeline goes on without it.")                                            \
    X(VERSION_LOST, "version.lost", "version, reason",                                                       \
      "The sources no longer have what a version needs; it is served as it is.")                             \
    X(CHECKPOINT_FAILING, "checkpoint.failing", "epoch, error",                                              \
      "A checkpoint failed: the pipeline starts anew from the former one, once the disk syncs a trial.")     \
    X(STORE_BACK, "store.back", "shard, from, to", "Recovery: a shard goes back to the last epoch of all.")  \
    X(STORE_AT_CHECKPOINT, "store.at_checkpoint", "epoch", "Recovery: the store is at its last checkpoint.") \
    X(STORE_NO_COMMON, "store.no_common_epoch", "dir", "Recovery: shards of different epochs.")              \
    X(STORE_MARKER_LOST, "store.marker_lost", "epoch", "Recovery: the checkpoint's marker is made anew.")    \
    X(STORE_NO_ROOM, "store.no_room", "shard, to_mib, error", "The disk has no room to extend a file.")      \
    X(STORE_MAP_GROWN, "store.map_grown", "shard, mib", "A shard's map is larger now.")                      \
    X(READER_KILLED, "reader.killed", "pid", "A process held a snapshot over a recovery and was killed.")    \
    X(SERVE_LISTENING, "serve.listening", "host, port, loops", "The server takes connections.")              \
    X(SERVE_SERVING, "serve.serving", "generation, apis, views, shards",                                     \
      "It serves another generation of the catalog.")                                                        \
    X(SERVE_OVER_LIMIT, "serve.over_limit", "limit, value or loop, connections, reason",                     \
      "Clients are refused at a limit.")                                                                     \
    X(TLS_EXPIRES, "tls.expires", "days, until, hint", "The certificate expires soon; once a day.")          \
    X(TLS_EXPIRED, "tls.expired", "until, hint", "It has expired; once a day.")                              \
    X(TLS_NOT_YET, "tls.not_yet", "from", "It is not valid yet; once a day.")                                \
    X(TLS_RENEWED, "tls.renewed", "file",                                                                    \
      "The self-signed certificate had expired and was made anew, or a box put another one in its place.")   \
    X(ACCESS_BROKEN, "access.broken", "error",                                                               \
      "A rule of access.roles does not fit the view that is served: it grants nothing.")                     \
    X(ACCESS_DENIED, "access.denied", "address, status, code, path, role, caller",                           \
      "A request was refused: it is in the audit too.")                                                      \
    X(CONSOLE_ASKED, "console.asked", "route, method, outcome, address",                                     \
      "The web console of a box was asked to change something: it is in the audit too.")                     \
    X(ACCESS_KEYS, "access.keys", "file", "The identity provider's keys were read anew.")                    \
    X(ACCESS_KEPT, "access.kept", "file, error",                                                             \
      "A file of tokens or keys cannot be used: what was read before stays in force.")                       \
    X(SERVE_STOPPING, "serve.stopping", "loops", "It was told to end.")

#define X(id, name, fields, meaning) EVENT_##id,
enum log_event { EVENT_NONE, EVENTS(X) EVENT_COUNT };
#undef X

const char *event_name(enum log_event event); /* NULL for EVENT_NONE */

#endif
