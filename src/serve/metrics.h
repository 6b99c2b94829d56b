/* GET /metrics: Prometheus text (version 0.0.4). The table below is all there is: the text is written from it, and so is the
 * reference in docs/operations.md. Times are seconds, sizes bytes; -1 stands for unknown.
 *
 * The text is made on a thread of civetweb's, not on a serve loop: a scrape of a thousand views holds up nobody. */
#ifndef PENSTOCK_SERVE_METRICS_H
#define PENSTOCK_SERVE_METRICS_H

#include "serve/stats.h"
#include "store/op_stats.h"

#include <stdio.h>

#define METRICS_OPERATORS_MAX \
    1000 /* limits.metrics_operators by default: operators with numbers of their own */

struct metrics_from {
    struct gate *gate;
    const struct world *world;     /* may be NULL */
    const struct stats_set *stats; /* may be NULL */
    const struct op_stats *ops;    /* may be NULL */
    uint32_t operators_max;
    int64_t now_us; /* Unix */
};
void metrics_write(const struct metrics_from *from, struct buf *out);
void metrics_doc_write(FILE *to); /* a table in Markdown */

#define COUNTER   "counter"
#define GAUGE     "gauge"
#define HISTOGRAM "histogram"

/* id, name, kind, labels, help */
#define METRICS(X)                                                                                           \
    X(BUILD_INFO, "penstock_build_info", GAUGE, "version", "1; the version is the program's.")               \
    X(PIPELINE_UP, "penstock_pipeline_up", GAUGE, "", "1 while the pipeline runs and gives signs of life.")  \
    X(PIPELINE_STATE, "penstock_pipeline_state", GAUGE, "state", "1 for the state that it is in.")           \
    X(PIPELINE_BEAT, "penstock_pipeline_heartbeat_age_seconds", GAUGE, "",                                   \
      "Since the pipeline's last sign of life.")                                                             \
    X(EPOCH, "penstock_epoch", GAUGE, "", "Newest visible epoch.")                                           \
    X(DURABLE_EPOCH, "penstock_durable_epoch", GAUGE, "", "Newest durable epoch.")                           \
    X(GENERATION, "penstock_generation", GAUGE, "", "Generation of catalog and stores.")                     \
    X(EPOCH_SECONDS, "penstock_epoch_seconds", HISTOGRAM, "", "Epochs: opened until visible.")               \
    X(EPOCH_PHASE, "penstock_epoch_phase_seconds", HISTOGRAM, "phase",                                       \
      "Phases of an epoch, per shard: start (opened until begun), work (input), close (operators), commit; " \
      "publish: once, from the last commit until visible.")                                                  \
    X(EPOCH_ROWS, "penstock_epoch_rows", HISTOGRAM, "", "Changes that an epoch took in.")                    \
    X(CHECKPOINT_PHASE, "penstock_checkpoint_phase_seconds", HISTOGRAM, "phase",                             \
      "Checkpoints: sync of the shards' files, writing and sync of the marker.")                             \
    X(CHECKPOINT_FAILURES, "penstock_checkpoint_failures_total", COUNTER, "",                                \
      "Checkpoints that failed; the former one stays valid.")                                                \
    X(SOURCE_STATE, "penstock_source_state", GAUGE, "source, state", "1 for the state that it is in.")       \
    X(SOURCE_STREAMING, "penstock_source_streaming", GAUGE, "source",                                        \
      "1 while the source's changes are followed.")                                                          \
    X(SOURCE_LAG, "penstock_source_lag_seconds", GAUGE, "source",                                            \
      "Age of the oldest change that is not visible yet; while the source or the pipeline is away, since "   \
      "it was last heard.")                                                                                  \
    X(SOURCE_LAG_BYTES, "penstock_source_lag_bytes", GAUGE, "source", "Of the source's log, not taken in.")  \
    X(SOURCE_RETAINED, "penstock_source_retained_bytes", GAUGE, "source",                                    \
      "Of its log, which the source keeps for this instance.")                                               \
    X(SOURCE_DELAY, "penstock_source_visible_delay_seconds", HISTOGRAM, "source",                            \
      "From commit at the source until visible, of the first transaction of each chunk.")                    \
    X(SOURCE_ROWS, "penstock_source_rows_total", COUNTER, "source", "Changes taken in.")                     \
    X(SOURCE_TRANSACTIONS, "penstock_source_transactions_total", COUNTER, "source",                          \
      "Transactions taken in.")                                                                              \
    X(SOURCE_RECONNECTS, "penstock_source_reconnects_total", COUNTER, "source",                              \
      "Times that the connection was lost or could not be made.")                                            \
    X(SOURCE_BLOCKED, "penstock_source_blocked_seconds_total", COUNTER, "source",                            \
      "Back-pressure: time that its threads waited for room in a queue.")                                    \
    X(SOURCE_SNAPSHOT_ROWS, "penstock_source_snapshot_rows", GAUGE, "source",                                \
      "Rows read by the snapshot under way, or by the last one.")                                            \
    X(SOURCE_SNAPSHOT_TOTAL, "penstock_source_snapshot_expected_rows", GAUGE, "source",                      \
      "Rows that it was expected to have, by the source's own estimate.")                                    \
    X(SOURCE_CONTACT, "penstock_source_contact_age_seconds", GAUGE, "source",                                \
      "Since the source's last message.")                                                                    \
    X(SOURCE_LOG, "penstock_source_log_bytes", GAUGE, "source",                                              \
      "Of its own files: pushed rows, or transactions in progress; else 0.")                                 \
    X(SOURCE_ACCEPTED, "penstock_source_accepted_total", COUNTER, "source", "Rows that clients pushed.")     \
    X(SOURCE_REFUSED, "penstock_source_refused_total", COUNTER, "source",                                    \
      "Requests to push rows that were refused.")                                                            \
    X(SOURCE_EXPIRED, "penstock_source_expired_total", COUNTER, "source", "Rows that went by retention.")    \
    X(SOURCE_LATE, "penstock_source_late_total", COUNTER, "source",                                          \
      "Rows whose retention was over when they came.")                                                       \
    X(SOURCE_QUARANTINED, "penstock_source_quarantined_rows", GAUGE, "source, table",                        \
      "Rows of the table that cannot be read, and are left out; of tables that had any since the start.")    \
    X(VIEW_ROWS, "penstock_view_rows", GAUGE, "view", "Rows stored.")                                        \
    X(VIEW_MEMORY, "penstock_view_state_bytes", GAUGE, "view",                                               \
      "Memory of its operators; those that views share count for each.")                                     \
    X(VIEW_BYTES, "penstock_view_bytes", GAUGE, "view",                                                      \
      "Pages of its rows, indexes and change log in the store.")                                             \
    X(VIEW_ERRORS, "penstock_view_error_rows", GAUGE, "view", "Rows left out because an expression fails.")  \
    X(VIEW_READY, "penstock_view_ready", GAUGE, "view", "1 when the view is complete.")                      \
    X(VIEW_STATE, "penstock_view_state", GAUGE, "view, state", "1 for the state that it is in.")             \
    X(SHARD_ROWS, "penstock_shard_rows_total", COUNTER, "shard", "Changes that came in.")                    \
    X(SHARD_EPOCHS, "penstock_shard_epochs_total", COUNTER, "shard", "Epochs committed.")                    \
    X(SHARD_BUSY, "penstock_shard_busy_seconds_total", COUNTER, "shard", "Time in epochs.")                  \
    X(SHARD_COMMIT, "penstock_shard_commit_seconds_total", COUNTER, "shard", "Time spent committing.")       \
    X(SHARD_STATE, "penstock_shard_state_bytes", GAUGE, "shard", "Memory of operator state.")                \
    X(SHARD_REBUILT, "penstock_shard_rebuilt_rows", GAUGE, "shard",                                          \
      "Mirrored rows read when state was last rebuilt.")                                                     \
    X(SHARD_REBUILD, "penstock_shard_rebuild_rows", GAUGE, "shard", "Mirrored rows there were to read.")     \
    X(QUEUE, "penstock_queue_messages", GAUGE, "shard, queue",                                               \
      "Waiting: lane and shard (the fullest ring from sources and from other shards), out (all that found "  \
      "a ring full); pool: batches kept for the next use.")                                                  \
    X(QUEUE_MOST, "penstock_queue_messages_max", GAUGE, "shard, queue",                                      \
      "The most of them since the pipeline's start.")                                                        \
    X(OP_ROWS_IN, "penstock_operator_rows_in_total", COUNTER, "node, kind, view", "Changes that came in.")   \
    X(OP_ROWS_OUT, "penstock_operator_rows_out_total", COUNTER, "node, kind, view", "Changes handed on.")    \
    X(OP_SECONDS, "penstock_operator_seconds_total", COUNTER, "node, kind, view",                            \
      "Its own time over all shards.")                                                                       \
    X(OP_STATE_BYTES, "penstock_operator_state_bytes", GAUGE, "node, kind, view", "Memory of its state.")    \
    X(OP_STATE_ROWS, "penstock_operator_state_rows", GAUGE, "node, kind, view",                              \
      "Rows or groups in it; of tables and views those stored.")                                             \
    X(OP_STORED, "penstock_operator_stored_bytes", GAUGE, "node, kind, view", "Of it in the store.")         \
    X(STORE_FILE, "penstock_store_file_bytes", GAUGE, "shard", "Size of the shard's file.")                  \
    X(STORE_USED, "penstock_store_used_bytes", GAUGE, "shard", "Up to the last page in use.")                \
    X(STORE_FREE, "penstock_store_free_bytes", GAUGE, "shard", "Of pages inside that can be used again.")    \
    X(STORE_MAP, "penstock_store_map_bytes", GAUGE, "shard", "Address space of the file's map.")             \
    X(STORE_DIRTY, "penstock_store_dirty_bytes", GAUGE, "shard",                                             \
      "Written since the last checkpoint began, about.")                                                     \
    X(STORE_READER, "penstock_store_reader_age_seconds", GAUGE, "shard",                                     \
      "Since when another process holds a snapshot that keeps pages from being used again; 0: none.")        \
    X(DISK, "penstock_disk_bytes", GAUGE, "", "Size of the data directory's file system.")                   \
    X(DISK_FREE, "penstock_disk_free_bytes", GAUGE, "", "Of it free for this user.")                         \
    X(DISK_RESERVE, "penstock_disk_reserve_bytes", GAUGE, "", "With less free ingest pauses.")               \
    X(PAUSED, "penstock_paused", GAUGE, "reason", "1 while ingest stands still for want of room.")           \
    X(PAUSES, "penstock_pauses_total", COUNTER, "", "Times that ingest stood still.")                        \
    X(MEMORY_LIMIT, "penstock_memory_limit_bytes", GAUGE, "", "Of the pipeline's own memory; -1: none.")     \
    X(HTTP_REQUESTS, "penstock_http_requests_total", COUNTER, "api, status",                                 \
      "Answers; api is empty for what is no api, and /ingest for pushed rows.")                              \
    X(HTTP_SECONDS, "penstock_http_request_seconds", HISTOGRAM, "api, status",                               \
      "From complete request to written answer.")                                                            \
    X(LOOP_ROUNDS, "penstock_serve_loop_rounds_total", COUNTER, "loop",                                      \
      "Rounds of events; at least one a second while it gets on.")                                           \
    X(HTTP_BYTES, "penstock_http_bytes_total", COUNTER, "", "Bytes sent on connections that have ended.")    \
    X(HTTP_PENDING, "penstock_http_pending_bytes", GAUGE, "",                                                \
      "Of answers and live queries, not taken by their clients yet.")                                        \
    X(HTTP_TIMEOUTS, "penstock_http_timeouts_total", COUNTER, "", "Connections closed at a deadline.")       \
    X(CONNECTIONS, "penstock_connections", GAUGE, "", "Connections open.")                                   \
    X(ACCEPTED, "penstock_connections_total", COUNTER, "", "Connections taken.")                             \
    X(REFUSED, "penstock_connections_refused_total", COUNTER, "", "Connections refused at a limit.")         \
    X(TLS_HANDSHAKES, "penstock_tls_handshakes_total", COUNTER, "", "TLS handshakes done.")                  \
    X(TLS_FAILURES, "penstock_tls_failures_total", COUNTER, "", "TLS handshakes failed.")                    \
    X(TLS_RESUMED, "penstock_tls_resumed_total", COUNTER, "", "TLS sessions taken up again from tickets.")   \
    X(TLS_EXPIRES, "penstock_tls_certificate_expires_seconds", GAUGE, "",                                    \
      "Unix time at which the server's certificate ceases to be valid.")                                     \
    X(LIVE, "penstock_live_queries", GAUGE, "", "Live queries open.")                                        \
    X(LIVE_EVENTS, "penstock_live_events_total", COUNTER, "", "Events sent to live queries.")                \
    X(LIVE_DROPPED, "penstock_live_dropped_total", COUNTER, "",                                              \
      "Live queries dropped because their client was slow.")                                                 \
    X(LIVE_WINDOW_BYTES, "penstock_live_window_bytes", GAUGE, "", "Held by live queries with a limit.")      \
    X(LIVE_REFILLS, "penstock_live_refills_total", COUNTER, "",                                              \
      "Windows of live queries with a limit read anew, as too many rows had left.")                          \
    X(PROCESS_STARTS, "penstock_process_starts_total", COUNTER, "process",                                   \
      "Starts of a process since the host's.")                                                               \
    X(PROCESS_STARTED, "penstock_process_start_time_seconds", GAUGE, "process", "Since 1970.")               \
    X(PROCESS_MEMORY, "penstock_process_resident_memory_bytes", GAUGE, "process", "Memory in use.")          \
    X(PROCESS_OWN, "penstock_process_memory_bytes", GAUGE, "process", "Its own memory, without file pages.") \
    X(PROCESS_CPU, "penstock_process_cpu_seconds_total", COUNTER, "process", "Time of processors.")          \
    X(PROCESS_FILES, "penstock_process_open_fds", GAUGE, "process", "Open file descriptors.")                \
    X(PROCESS_THREADS, "penstock_process_threads", GAUGE, "process", "Threads.")                             \
    X(PROCESS_SEEN, "penstock_process_seen_age_seconds", GAUGE, "process",                                   \
      "Since it last measured itself, which it does every second.")                                          \
    X(SANDBOX, "penstock_sandbox", GAUGE, "process, part",                                                   \
      "1 for each part of a process's confinement that holds.")                                              \
    X(STUCK, "penstock_watchdog_bites_total", COUNTER, "what",                                               \
      "What stood still, so that its process was started anew: shard, loop, process.")                       \
    X(RELOADS, "penstock_config_reloads_total", COUNTER, "result",                                           \
      "Configurations to be taken over by the running instance: accepted, refused.")                         \
    X(SCRAPE, "penstock_scrape_seconds", GAUGE, "", "What the last scrape before this one took.")

#define X(id, name, kind, labels, help) M_##id,
enum metric { METRICS(X) METRICS_COUNT };
#undef X

/* ---- for the files that write it ---- */
void metric_head(struct buf *b, enum metric m);
/* One sample; labels: name, value, ..., NULL. suffix: "" or "_bucket" and so on. */
void metric_sample(struct buf *b, enum metric m, const char *suffix, double value, ...);
void metric_one(struct buf *b, enum metric m, double value); /* head and a sample without labels */
/* `parts` histograms summed, as one with the labels. unit: of bounds and sum, in the metric's own (1e-6 for times). */
struct metric_label {
    const char *name, *value;
};
void metric_histogram(struct buf *b, enum metric m, const struct histogram *const *parts, uint32_t part_count,
                      bool is_time, const struct metric_label *labels, uint32_t label_count);
void metrics_flow_write(const struct metrics_from *f, struct buf *b);
void metrics_http_write(const struct metrics_from *f, struct buf *b);

#endif
