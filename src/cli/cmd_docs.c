/* `penstock docs SECTION`: reference sections of docs/ as Markdown, from the tables that the program itself uses, so that
 * neither can drift. test/e2e/test_docs.py compares them. */
#include "cli/look.h"
#include "base/crash.h"
#include "cli/cli.h"
#include "cli/forget.h"
#include "cli/hold.h"
#include "cli/init_from.h"
#include "cli/world.h"

#include "base/log.h"
#include "base/nearest.h"
#include "base/still.h"
#include "box/identity.h"
#include "box/request.h"
#include "box/admin.h"
#include "box/bundle.h"
#include "box/certificate.h"
#include "box/cmd_network.h"
#include "box/control.h"
#include "box/scp.h"
#include "box/scrub.h"
#include "box/provision.h"
#include "box/settings.h"
#include "box/ssh_keys.h"
#include "box/tries.h"
#include "box/ssh.h"
#include "box/words.h"
#include "cli/box_input.h"
#include "box/tar.h"
#include "fleet/commands.h"
#include "fleet/answer.h"
#include "fleet/diff.h"
#include "fleet/drive.h"
#include "fleet/ssh.h"
#include "config/config.h"
#include "data/key.h"
#include "flow/pipeline.h"
#include "flow/topology.h"
#include "serve/why_service.h"
#include "ops/op_errors.h"
#include "serve/multi.h"
#include "serve/auth.h"
#include "serve/confine.h"
#include "serve/console.h"
#include "serve/console_request.h"
#include "serve/grpc_service.h"
#include "serve/h2.h"
#include "serve/http.h"
#include "serve/jwt.h"
#include "serve/live_log.h"
#include "serve/metrics.h"
#include "serve/peer_certificate.h"
#include "serve/cursor.h"
#include "serve/proto.h"
#include "serve/query.h"
#include "serve/serve.h"
#include "serve/tls.h"
#include "serve/url.h"
#include "serve/world.h"
#include "serve/ws.h"
#include "source/ingest/ingest.h"
#include "source/ingest/ingest_server.h"
#include "source/postgres/pg_position.h"
#include "source/postgres/pg_spool.h"
#include "sql/expr.h"
#include "sql/predicate.h"
#include "sql/refused.h"
#include "store/versions.h"
#include "store/access_doc.h"
#include "store/audit.h"
#include "store/gate.h"
#include "store/manifest.h"
#include "store/quarantine.h"
#include "store/mdb_pages.h"
#include "store/verify.h"
#include "store/store.h"
#include "store/token_file.h"
#include "types/agg_walk.h"
#include "types/array.h"
#include "types/numeric.h"
#include "types/jsonpath.h"
#include "types/regex.h"
#include "types/set_fn.h"
#include "types/sql_doc.h"
#include "sql/rel.h"

#include <inttypes.h>
#include <string.h>

/* ---- limits ---- */

enum unit { COUNT, BYTES, MILLISECONDS, SECONDS };
struct limit {
    const char *name;
    uint64_t value;
    enum unit unit;
    const char *meaning;
};
#define LIMIT(name, unit, meaning)             \
    {                                          \
#name, (uint64_t)(name), unit, meaning \
    }

static const struct limit configuration_limits[] = {
    LIMIT(YAML_BYTES_MAX, BYTES, "penstock.yaml; larger is refused"),
    LIMIT(DRAFT_TABLES_MAX, COUNT,
          "tables of a database that `penstock init --from` takes; further ones are counted alone"),
    LIMIT(YAML_DEPTH_MAX, COUNT, "nesting of penstock.yaml; deeper is refused"),
    LIMIT(VALUES_ROWS_MAX, COUNT, "rows of VALUES; more are refused"),
    LIMIT(GROUPING_SETS_MAX, COUNT, "grouping sets of one GROUP BY, as in PostgreSQL; more are refused"),
    LIMIT(CUBE_ITEMS_MAX, COUNT, "items of CUBE, likewise"),
    LIMIT(GROUPING_ARGS_MAX, COUNT, "arguments of GROUPING, likewise"),
    LIMIT(VALUES_COMPUTED_MAX, COUNT, "rows of VALUES with an expression that is not a constant"),
    LIMIT(
        RECURSION_ROUNDS_MAX, COUNT,
        "rounds of WITH RECURSIVE; rows found after them are left out of the view and counted as its error"),
    LIMIT(RECURSION_BYTES_MAX, BYTES,
          "rows of a WITH RECURSIVE, each with 256 bytes more; further rounds are left out likewise"),
    LIMIT(EXPR_DEPTH_MAX, COUNT, "nesting of an SQL expression; deeper is refused with its position"),
    LIMIT(PLAN_STACK_BYTES, BYTES, "stack of the thread that parses and plans SQL"),
    LIMIT(REGEX_DEPTH_MAX, COUNT,
          "nesting of a regular expression, and groups of a branch; more is too complex"),
    LIMIT(REGEX_STATES_MAX, COUNT, "states of a compiled regular expression; more is too complex"),
    LIMIT(REGEX_STEPS_MAX, COUNT,
          "states that one search of a regular expression visits, or all searches of one evaluation of a "
          "jsonpath; "
          "more is an error of the row"),
    LIMIT(SET_ROWS_MAX, COUNT,
          "rows that a set-returning function yields for one row; more is an error of the row"),
    LIMIT(SET_BYTES_MAX, BYTES, "likewise the bytes of these rows, and of what is computed for them"),
    LIMIT(JSONPATH_ITEMS_MAX, COUNT, "accessors, operators and constants of a jsonpath; more are an error"),
    LIMIT(JSONPATH_NESTING_MAX, COUNT, "nesting of a jsonpath; deeper is an error"),
    LIMIT(JSONPATH_DEPTH_MAX, COUNT,
          "accessors in a row and levels of json that an evaluation of a jsonpath goes down; more is an "
          "error of the row"),
    LIMIT(JSONPATH_STEPS_MAX, COUNT, "steps of one evaluation of a jsonpath; more are an error of the row"),
    LIMIT(COLUMNS_MAX, COUNT, "columns of a table or view"),
    LIMIT(NUM_DIGITS_MAX, COUNT,
          "digits of a numeric before its point, as in PostgreSQL; more is an error of the row"),
    LIMIT(NUM_DSCALE_MAX, COUNT, "digits of a numeric after its point, as in PostgreSQL"),
    LIMIT(ARRAY_DIMS_MAX, COUNT, "dimensions of an array; more is an error of the row, as in PostgreSQL"),
    LIMIT(ARRAY_ITEMS_MAX, COUNT, "elements of an array, likewise"),
    LIMIT(ENUM_TYPES_MAX, COUNT, "different enum types of all sources; a column of another is refused"),
    LIMIT(NEAREST_LEN_MAX, COUNT, "characters of a name for which a similar one is suggested"),
    LIMIT(ACCESS_ROLES_MAX, COUNT, "roles of access.roles; more are refused"),
    LIMIT(ACCESS_CERTIFICATES_MAX, COUNT, "entries of access.certificates, likewise"),
    LIMIT(ACCESS_NAME_BYTES_MAX, BYTES, "of a role's name, likewise"),
    LIMIT(ACCESS_ORIGINS_MAX, COUNT, "origins of server.cors.origins, likewise"),
    LIMIT(ACCESS_DOC_BYTES_MAX, BYTES, "of all rules together, as the server is told them; more are refused"),
    LIMIT(PREDICATE_BYTES_MAX, BYTES, "of the condition of a rule, likewise"),
    LIMIT(PREDICATE_CLAIMS_MAX, COUNT, "different claims in it, likewise"),
    LIMIT(TOKENS_MAX, COUNT, "access tokens that are kept; the next is refused"),
    LIMIT(TOKEN_CLAIMS_MAX, COUNT, "claims of one of them"),
    LIMIT(TOKEN_CLAIM_BYTES_MAX, BYTES, "of the name of such a claim, and of its value"),
    LIMIT(TOKEN_NAME_BYTES_MAX, BYTES, "of what an access token is called"),
};
static const struct limit pipeline_limits[] = {
    LIMIT(GATE_SOURCES_MAX, COUNT, "sources; more are refused"),
    LIMIT(GATE_VIEWS_MAX, COUNT, "views of all versions together; more are refused"),
    LIMIT(VERSIONS_KEEP_MAX, COUNT, "versions kept side by side, and what `versions.keep` may be at most"),
    LIMIT(GATE_SHARDS_MAX, COUNT, "shards"),
    LIMIT(GATE_LOOPS_MAX, COUNT, "serve loops"),
    LIMIT(STILL_LOOKS_MIN, COUNT,
          "looks, a second apart, that a thread must stand still to be stuck, whatever limits.stuck says"),
    LIMIT(STILL_BUSY_TIMES, COUNT, "times limits.stuck that a serve loop may work on one step"),
    LIMIT(GATE_READERS_MAX, COUNT, "serve loops and other readers of the store at a time"),
    LIMIT(TOPOLOGY_CPUS_MAX, COUNT, "CPUs that are looked at; those numbered higher are not used"),
    LIMIT(SOURCE_LANES_MAX, COUNT,
          "producer threads of one source: one that follows changes, the others copy snapshots"),
    LIMIT(SOURCE_POSITION_MAX, BYTES, "a source's position as stored"),
    LIMIT(PG_POSITION_TABLES_MAX, COUNT,
          "PostgreSQL tables that one snapshot can be interrupted and gone on with"),
    LIMIT(PG_SPOOL_BYTES, BYTES,
          "of PostgreSQL transactions in progress kept here with `streaming: on` (`spool`); past it the "
          "server keeps them"),
    LIMIT(PG_SPOOL_TRANSACTIONS, COUNT, "of them at a time, likewise"),
    LIMIT(PG_SPOOL_SUBTRANSACTIONS, COUNT, "of their subtransactions that wrote something, likewise"),
    LIMIT(PG_SPOOL_RESERVE, BYTES,
          "left free on the disk that they are kept on, beyond what `store.reserve` pauses at, likewise"),
    LIMIT(INGEST_TABLES_MAX, COUNT, "tables of an ingest source; more are refused"),
    LIMIT(
        PROXY_HOLD_BYTES, BYTES,
        "of a pushed body that are waited for before it is passed on, so that a slow client takes no thread"),
    LIMIT(PROXY_ANSWER_BYTES, BYTES,
          "of an answer of the console or /metrics that wait for a slow client; 256 KiB when half of "
          "limits.pending_bytes waits"),
    LIMIT(PROXY_HELD_MAX, BYTES,
          "of all bodies that are waited for on one server core; past it they are passed on"),
    LIMIT(INGEST_THREADS, COUNT, "requests that push rows at a time; further ones wait"),
    LIMIT(INGEST_QUEUE, COUNT,
          "of these that wait; the rest waits in the kernel. Fewer when few files may be open"),
    LIMIT(
        INGEST_LOG_BYTES, BYTES,
        "of an ingest source's log that wait to be applied and made durable (its `log_bytes`); past it 503"),
    LIMIT(INGEST_SEGMENT_BYTES, BYTES, "of a segment of that log, about; then the next one is begun"),
    LIMIT(INGEST_RECORD_BYTES_MAX, BYTES, "that the rows of one request take in it; 413 past it"),
    LIMIT(INGEST_DIGITS_MAX, COUNT,
          "digits that the exponents of one request's numbers may ask for (`1e9999`); 413 past it"),
    LIMIT(INGEST_KEYS_MAX, COUNT, "Idempotency-Keys that an ingest source remembers, the newest ones"),
    LIMIT(INGEST_KEY_BYTES_MAX, BYTES, "of an Idempotency-Key; 400 past it"),
    LIMIT(BATCH_ROWS, COUNT, "rows of a batch"),
    LIMIT(BATCH_BYTES, BYTES, "of the values in it; the row that passes it is the last"),
    LIMIT(LANE_RING_MSGS, COUNT, "batches between a source's thread and a shard; then the source waits"),
    LIMIT(SHARD_RING_MSGS, COUNT, "batches between two shards; then the sender takes no new input"),
    LIMIT(SHARD_QUEUE_CHECK, COUNT,
          "batches that a full one leaves queued with the sender between two looks at `limits.memory`; past "
          "9/8 of that "
          "the epoch fails, and ingest pauses"),
    LIMIT(LANE_QUEUE_BATCHES, COUNT,
          "batches of a transaction that are kept back until it has ended; a larger one is worked "
          "on before, still invisible"),
    LIMIT(CHUNK_ROWS_MAX, COUNT, "rows after which a chunk ends at the next transaction end"),
    LIMIT(CHUNK_ROWS_TIGHT, COUNT, "likewise from 7/8 of `limits.memory` on"),
    LIMIT(TIGHT_EPOCH_MS, MILLISECONDS, "least time between two epochs then"),
    LIMIT(CHECKPOINT_BEHIND, COUNT,
          "times `store.checkpoint_bytes` that are written while a checkpoint lasts; then the sources wait "
          "for the disk"),
    LIMIT(REPLAY_ROWS, COUNT, "rows of a mirror replayed per step while state is rebuilt"),
    LIMIT(CLOCK_STEP_MS, MILLISECONDS,
          "least time between epochs that only now() asks for; rows due within it change together"),
    LIMIT(CLOCK_BACK_MS, MILLISECONDS,
          "the host's clock set back by more: the pipeline starts anew and fills the views that compare with "
          "now()"),
    LIMIT(LOG_REPEATS_MAX, COUNT,
          "lines of one event about one subject in LOG_REPEATS_S; further ones are left out and counted"),
    LIMIT(LOG_REPEATS_S, SECONDS, "see LOG_REPEATS_MAX"),
    LIMIT(CRASH_REPORTS_MAX, COUNT, "reports of crashes that are kept in `DATA/crash`, the newest"),
    LIMIT(CONFINE_FILE_BYTES, BYTES, "most that the server may write into one file"),
    LIMIT(CRASH_FRAMES_MAX, COUNT, "frames in such a report"),
    LIMIT(AGG_RESULT_BYTES_MAX, BYTES,
          "result of string_agg, json_agg and their like; a longer one is an error of the group's row"),
    LIMIT(ERROR_ROWS_DEFAULT, COUNT,
          "rows of a view's list of error rows (`store.error_rows`); further ones are counted"),
    LIMIT(ERROR_ROWS_SPARE, COUNT,
          "times as many are kept by each operator and shard, so that the list fills up again as rows heal"),
    LIMIT(ERROR_ROW_BYTES_MAX, BYTES, "text of an error row, about; further columns are left out"),
    LIMIT(ERROR_VALUE_BYTES_MAX, BYTES, "text of a value in it; the rest is cut"),
    LIMIT(ERROR_EXPR_BYTES_MAX, BYTES, "text of the expression that fails; the rest is cut"),
    LIMIT(QUARANTINE_FULL_ROWS, COUNT,
          "rows that cannot be read of which raw bytes are kept, per table and shard; further ones are "
          "listed without"),
    LIMIT(QUARANTINE_RAW_BYTES, BYTES, "raw bytes of such a row; the rest is cut"),
    LIMIT(QUARANTINE_LIST_ROWS, COUNT, "of them that a list shows, the newest; further ones are counted"),
    LIMIT(GATE_BAD_TABLES_MAX, COUNT,
          "tables with such rows that status and metrics name; of more the sum is told"),
    LIMIT(EPOCH_LOG_ENTRIES, COUNT,
          "newest epochs of which the store remembers what they took in, for whys; about 100 bytes each"),
    LIMIT(WHY_PAGE_DEFAULT, COUNT, "source rows of a page of a why"),
    LIMIT(WHY_PAGE_MAX, COUNT, "likewise, at most"),
    LIMIT(WHY_BYTES_MAX, BYTES, "kept while one why is worked on; then it is cut off"),
    LIMIT(WHY_RUNNING_MAX, COUNT, "whys worked on at a time; further ones are answered 503"),
    LIMIT(WHY_JOBS_MAX, COUNT, "whys taken in and not begun; likewise"),
    LIMIT(WHY_CHANGES, COUNT, "last changes of the row that a why shows"),
    LIMIT(WHY_THROUGH_MAX, COUNT, "columns of views that one column comes through, in a why"),
    LIMIT(WHY_LOG_ROWS, COUNT,
          "entries of a view's change log that are looked at for them, from the newest on"),
    LIMIT(FORGET_WAIT_S, SECONDS, "that `penstock errors --forget` waits for the instance"),
    LIMIT(KEY_STORED_MAX, BYTES, "a stored key; longer ones are shortened with a hash, rows decide"),
    LIMIT(STORE_KEY_MAX, BYTES, "LMDB's own limit on keys"),
    LIMIT(HOLD_BALLAST_BYTES, BYTES, "kept in `DATA/ballast` for a start on a full disk"),
    LIMIT(LOOK_TIMEOUT_S, SECONDS,
          "that backup and verify hold a snapshot of a running instance (`--timeout`); then they end"),
    LIMIT(LOOK_TRIES, COUNT, "times that they begin when the pipeline is started anew meanwhile"),
    LIMIT(LOOK_WAIT_MS, MILLISECONDS,
          "that backup and verify wait for an instance that is just starting or ending"),
    LIMIT(VERIFY_FAULTS_SHOWN, COUNT,
          "faults of one kind that `penstock verify` shows; further ones are counted"),
    LIMIT(MDB_PAGES_FAULTS_MAX, COUNT, "faults in one shard's pages after which it looks no further there"),
    LIMIT(MANIFEST_BYTES_MAX, BYTES, "a backup's manifest; a larger one is refused"),
    LIMIT(MANIFEST_FILES_MAX, COUNT, "files of a backup, likewise"),
    LIMIT(DESCRIBE_TIMEOUT_MS, MILLISECONDS, "for asking a source about its tables"),
};
static const struct limit request_limits[] = {
    LIMIT(JWT_BYTES_MAX, BYTES, "of a JSON Web Token; a longer one is refused"),
    LIMIT(CALLER_CLAIMS_MAX, COUNT, "claims of one, those in objects too; likewise"),
    LIMIT(JWT_NESTING_MAX, COUNT, "levels of objects in it whose members are claims (`a.b.c`)"),
    LIMIT(JWKS_BYTES_MAX, BYTES,
          "of the identity provider's key set; a larger one is refused, and the former stays"),
    LIMIT(JWKS_KEYS_MAX, COUNT, "keys in it, likewise"),
    LIMIT(AUTH_CACHE_SETS, COUNT,
          "pairs of JSON Web Tokens whose signature was found right that a serve loop remembers"),
    LIMIT(RATE_KEYS, COUNT,
          "addresses, and callers, that a serve loop counts the requests of; past it the one that was quiet "
          "longest is "
          "forgotten"),
    LIMIT(AUTH_AUDITED_MAX, COUNT,
          "refused requests that a serve loop writes into the audit in a second; further ones are left out"),
    LIMIT(AUDIT_FILE_BYTES, BYTES, "of the audit's file; then it is turned over, and the one before goes"),
    LIMIT(PEER_NAMES_MAX, COUNT, "names of a client's certificate that are looked at"),
    LIMIT(HTTP_HEADERS_MAX, COUNT, "headers of a request; 431 past it"),
    LIMIT(GRPC_KEYS_MAX, COUNT, "columns of a key that a gRPC request may name; more are refused"),
    LIMIT(GRPC_BATCH_BYTES, BYTES, "of rows after which penstock.v1.Views.Query begins another message"),
    LIMIT(GRPC_REFLECT_MAX, COUNT, "questions of one call of gRPC's reflection; more end it"),
    LIMIT(GRPC_IDLE_MAX, COUNT, "gRPC calls that are over whose memory a server core keeps for others"),
    LIMIT(PROTO_DEPTH_MAX, COUNT,
          "nesting of groups in unknown fields of a gRPC message; deeper is malformed"),
    LIMIT(URL_SEGMENTS_MAX, COUNT, "segments of a path"),
    LIMIT(URL_PARAMS_MAX, COUNT, "parameters of a query; 400 past it"),
    LIMIT(BATCH_READS_MAX, COUNT, "reads of a batch; 400 past it"),
    LIMIT(BATCH_BYTES_MAX, BYTES, "of a batch's body; 413 past it"),
    LIMIT(BATCH_TIME_MS, MILLISECONDS,
          "of a serve loop for one batch: reads that do not begin within it answer 503, each by itself"),
    LIMIT(QUERY_DEPTH_MAX, COUNT, "nesting of and=() and or=()"),
    LIMIT(QUERY_CONDS_MAX, COUNT, "conditions of one query"),
    LIMIT(QUERY_VALUES_MAX, COUNT, "values of all lists of one query, in.() and (any).{}"),
    LIMIT(QUERY_DIGITS_MAX, COUNT,
          "digits that the exponents of all values of one query may ask for (`1e9999`)"),
    LIMIT(QUERY_ITEMS_MAX, COUNT, "items of select and order together"),
    LIMIT(QUERY_STEPS_MAX, COUNT, "steps of one JSON path (`data->a->>b`)"),
    LIMIT(QUERY_EMBEDS_MAX, COUNT, "embedded views of one query"),
    LIMIT(QUERY_EMBED_DEPTH_MAX, COUNT, "nesting of embedded views"),
    LIMIT(CURSOR_BYTES_MAX, BYTES, "of a cursor; a list whose order has longer values has none"),
    LIMIT(COUNT_SAMPLE_ROWS, COUNT,
          "rows that count=planned and count=estimated look at past the page; beyond them they estimate"),
    LIMIT(LIVE_INDEX_VALUES, COUNT,
          "values of an in-list by which changes are looked up for a live query; one with a longer list is "
          "asked about each"),
    LIMIT(
        LIVE_UNDO_MAX, COUNT,
        "changes that a live query with a limit may resume behind; further behind starts over: event reset"),
    LIMIT(WS_MESSAGE_MAX, BYTES, "a message from a WebSocket client; close code 1009 past it"),
    LIMIT(LIVE_FLUSHES_MAX, COUNT, "live queries that are written to before others get their turn"),
    LIMIT(METRICS_OPERATORS_MAX, COUNT,
          "operators with numbers of their own in /metrics (`limits.metrics_operators`); the others are "
          "added up"),
    LIMIT(SERVE_CONNECTIONS_MIN, COUNT,
          "with file descriptors for fewer connections the server does not start"),
    LIMIT(TLS_EXPIRY_WARN_DAYS, COUNT,
          "days before its end from which on a certificate is spoken of in the log"),
    LIMIT(SERVE_FDS_SPARE, COUNT,
          "file descriptors kept beside connections, 6 for each loop and 2 for each shard"),
    LIMIT(SERVE_BODY_STEP_BYTES, BYTES,
          "of a request's body, or its end, in each `limits.body_timeout`; else 408"),
    LIMIT(H2_WINDOW_BYTES, BYTES,
          "of a request's body on its way on one HTTP/2 stream; four times as many on its connection"),
    LIMIT(H2_DROP_BYTES, BYTES, "of a body that come after the whole answer; then the stream is reset"),
    LIMIT(H2_TABLE_BYTES, BYTES, "of an HTTP/2 connection's table of headers, in each direction"),
    LIMIT(H2_FIELDS_MAX, COUNT, "header fields of an HTTP/2 answer"),
    LIMIT(GRPC_WINDOW_BYTES, BYTES,
          "of a gRPC call's answer that wait for the client's window before the call is held up; what it has "
          "made "
          "counts in limits.pending_bytes"),
    LIMIT(LOOP_PROXIES_MAX, COUNT,
          "requests of a loop that are not reads (pushed rows, console) at a time; 503 past it"),
    LIMIT(CONSOLE_COMMANDS_MAX, COUNT, "commands that the console of a box runs at a time; 503 past it"),
    LIMIT(CONSOLE_STRANGERS_MAX, COUNT, "of them for requests without a session"),
    LIMIT(CONSOLE_TRY_BYTES, BYTES, "of a request that tries a password or a claim code; 413 past it"),
    LIMIT(CONSOLE_THREADS, COUNT, "requests to the console, /metrics and whys at a time; further ones wait"),
    LIMIT(CONSOLE_TRIES, COUNT,
          "passwords and claim codes that one address may try in a minute; 429 past it"),
    LIMIT(CONSOLE_TRIES_ALL, COUNT, "that all addresses may try together, likewise"),
    LIMIT(CONSOLE_JSON_BYTES, BYTES, "of the JSON of a request to the console; 413 past it"),
    LIMIT(CONSOLE_FILES_BYTES, BYTES, "of the JSON with a configuration's files, likewise"),
    LIMIT(CONSOLE_FILES_MAX, COUNT, "files of a configuration that the console sends; 400 past it"),
    LIMIT(CONSOLE_FILE_NAME_BYTES, BYTES, "of the name of one; 400 past it"),
    LIMIT(CONSOLE_UPLOAD_BYTES, BYTES, "of an image that is uploaded; 413 past it"),
    LIMIT(CONSOLE_FIELDS_MAX, COUNT, "members and parameters of a request to the console; 400 past it"),
    LIMIT(CONSOLE_WORD_BYTES, BYTES, "of one of them that becomes a command's word; 400 past it"),
    LIMIT(CONSOLE_OUTPUT_BYTES, BYTES, "of a command's output that the console answers; 502 past it"),
    LIMIT(CONSOLE_DOWNLOAD_BYTES, BYTES, "of a download (a support bundle); it breaks off past it"),
    LIMIT(API_STATS_MAX, COUNT, "apis counted by name in /metrics; the others are counted together"),
};
/* The appliance. */
static const struct limit box_limits[] = {
    LIMIT(BUNDLE_MANIFEST_MAX, BYTES, "manifest of a bundle; a larger one is refused"),
    LIMIT(BUNDLE_SIGNATURES_MAX, COUNT, "signatures of a bundle, likewise"),
    LIMIT(BUNDLE_IMAGE_BYTES_MAX, BYTES, "content of an image's bundle, likewise"),
    LIMIT(BUNDLE_CONFIG_BYTES_MAX, BYTES, "content of a configuration's bundle, likewise"),
    LIMIT(TRUST_KEYS_MAX, COUNT, "keys that a box trusts; with more none is"),
    LIMIT(TAR_ENTRIES_MAX, COUNT, "files and folders of a configuration's archive; more are refused"),
    LIMIT(TAR_FILE_BYTES_MAX, BYTES, "a file in it, likewise"),
    LIMIT(TAR_PATH_BYTES_MAX, BYTES, "a path in it, likewise"),
    LIMIT(TAR_DEPTH_MAX, COUNT, "folders in one another in it, likewise"),
    LIMIT(ADMIN_PASSWORD_CHARS_MIN, COUNT, "characters of the console's password, at least"),
    LIMIT(ADMIN_PASSWORD_BYTES_MAX, BYTES, "of it, at most"),
    LIMIT(ADMIN_ROUNDS, COUNT, "rounds of PBKDF2-HMAC-SHA512 that it is kept by"),
    LIMIT(TRIES_MAX, COUNT, "wrong claim codes, and likewise wrong passwords, within `TRIES_WINDOW_MS`"),
    LIMIT(TRIES_WINDOW_MS, MILLISECONDS, "in which wrong tries count"),
    LIMIT(ADMIN_SESSIONS_MAX, COUNT, "sessions of the console; one more ends the one unused for longest"),
    LIMIT(ADMIN_SESSION_IDLE_MS, MILLISECONDS, "without a request until a session of the console ends"),
    LIMIT(ADMIN_SESSION_MS, MILLISECONDS, "that a session of the console lasts at most"),
    LIMIT(SSH_KEYS_MAX, COUNT, "SSH keys of a box"),
    LIMIT(SSH_KEYS_FILE_MAX, BYTES, "of their file"),
    LIMIT(PROVISION_FILES_MAX, COUNT, "files of a provisioning folder"),
    LIMIT(PROVISION_FILE_BYTES_MAX, BYTES, "of one of them"),
    LIMIT(PROVISION_BYTES_MAX, BYTES, "of all of them"),
    LIMIT(PROVISION_DEPTH_MAX, COUNT, "folders in one another in it"),
    LIMIT(CERTIFICATE_PEM_MAX, BYTES, "of a certificate with its chain and key that a box is given"),
    LIMIT(CERTIFICATE_CHAIN_MAX, COUNT, "certificates of a chain"),
    LIMIT(CERTIFICATE_NAMES_MAX, COUNT, "names and addresses in a certificate that a box makes"),
    LIMIT(CERTIFICATE_WARN_DAYS, COUNT, "days before its end that status speaks of a certificate"),
    LIMIT(NETWORK_CONFIRM_S, SECONDS,
          "until a change by `network set` is confirmed; past it the former settings come back"),
    LIMIT(SETTINGS_BYTES_MAX, BYTES, "box.yaml; a larger one is refused"),
    LIMIT(WORDS_LINE_BYTES_MAX, BYTES, "a command over SSH; a longer one is refused"),
    LIMIT(WORDS_MAX, COUNT, "words of it, likewise"),
    LIMIT(IDENTITY_FILES_MAX, COUNT, "files and folders in /data/box that the identity partition keeps"),
    LIMIT(IDENTITY_FILE_MAX, BYTES, "of one of them; past it nothing more is copied, which is logged"),
    LIMIT(IDENTITY_BYTES_MAX, BYTES, "of all of them, likewise"),
    LIMIT(CONTROL_REQUEST_BYTES_MAX, BYTES, "a command over PID 1's sockets; a larger one is refused"),
    LIMIT(REQUEST_WORDS_MAX, COUNT, "words of it, likewise"),
    LIMIT(CONTROL_RUNNING_MAX, COUNT,
          "commands of SSH sessions and the console at a time; the next is refused"),
    LIMIT(SCP_ENTRIES_MAX, COUNT, "files and folders that one scp sends; more are refused"),
    LIMIT(SCP_DEPTH_MAX, COUNT, "folders in one another that it sends, likewise"),
    LIMIT(BOX_INPUT_BYTES_MAX, BYTES,
          "a configuration on standard input, in whatever form; a larger one is refused"),
    LIMIT(BOX_INPUT_WAIT_S, SECONDS, "that its first byte may take"),
    LIMIT(SCRUB_SECRETS_MAX, COUNT,
          "secrets of a configuration; one with more is left out of support bundles"),
    LIMIT(SSH_KEYS_BYTES_MAX, BYTES,
          "authorized_keys; a larger one is not taken over, and the former one stays"),
    LIMIT(SSH_TRIES_MAX, COUNT, "keys that an SSH connection may try; then it is closed"),
    LIMIT(SSH_KEEPALIVE_S, SECONDS,
          "between two keep-alives of an SSH connection; after three without an answer it is closed"),
    LIMIT(SSH_IDLE_S, SECONDS, "without a packet, after which an SSH connection is closed"),
    LIMIT(SETTINGS_INTERFACES_MAX, COUNT, "interfaces that box.yaml names; more are refused"),
    LIMIT(SETTINGS_ADDRESSES_MAX, COUNT, "fixed addresses of an interface, likewise"),
    LIMIT(SETTINGS_RESOLVERS_MAX, COUNT,
          "name servers in box.yaml, likewise; of those of DHCP the first are asked"),
    LIMIT(SETTINGS_SERVERS_MAX, COUNT, "time servers in box.yaml, likewise"),
};

static const struct limit fleet_limits[] = {
    LIMIT(FLEET_BOXES_MAX, COUNT, "boxes of an inventory; more are refused"),
    LIMIT(FLEET_GROUPS_MAX, COUNT, "groups of one, likewise"),
    LIMIT(FLEET_LABELS_MAX, COUNT, "labels of a box, those of its groups counted in; likewise"),
    LIMIT(FLEET_OPTIONS_MAX, COUNT, "`ssh.options` of a box, likewise"),
    LIMIT(FLEET_NAME_BYTES, BYTES, "of the name of a box, a group or a label, likewise"),
    LIMIT(FLEET_PARALLEL_MAX, COUNT, "what `parallel` may be at most"),
    LIMIT(FLEET_ANSWER_BYTES, BYTES, "of a box's JSON; a longer answer counts as none"),
    LIMIT(FLEET_OUTPUT_BYTES, BYTES,
          "of what a command prints on a box; the rest is left out, and that is said"),
    LIMIT(FLEET_ERROR_BYTES, BYTES, "likewise of its standard error"),
    LIMIT(FLEET_SUPPORT_BYTES, BYTES, "of a support bundle that is fetched; a larger one is not kept"),
    LIMIT(FLEET_ASK_S, SECONDS, "that a box has for a short answer, beside `ssh.connect_timeout`"),
    LIMIT(FLEET_COMMAND_S, SECONDS, "likewise for a command of `run` or a configuration"),
    LIMIT(FLEET_KILL_MS, MILLISECONDS, "from asking a child process to end to making it"),
    LIMIT(FLEET_ALIVE_S, SECONDS, "of silence after which a connection is asked for a sign of life"),
    LIMIT(FLEET_ALIVE_COUNT, COUNT, "of these unanswered, and the connection is given up"),
    LIMIT(FLEET_LOG_BYTES, BYTES, "of `log.jsonl`; then it is turned over, and the one before goes"),
    LIMIT(FLEET_POLL_MS, MILLISECONDS, "between two questions to a box that restarts"),
    LIMIT(FLEET_ODD_MAX, COUNT,
          "answers in a row that must not be (another build than the old and the new, a slot that "
          "contradicts) until a box has failed"),
    LIMIT(FLEET_SENDS_MAX, COUNT, "times that a box is sent an image when the connection breaks on the way"),
    LIMIT(FLEET_BREAK_MS, MILLISECONDS,
          "after a connection broke amid an image, until the box is asked what it runs"),
    LIMIT(FLEET_STALL_S, SECONDS, "without a byte moved, and a transfer is given up"),
    LIMIT(FLEET_TRIAL_S, SECONDS, "beyond the end of a box's trial that is waited for it"),
    LIMIT(FLEET_REQUESTS_MS, MILLISECONDS, "until `pause` and `abort` of another process are seen"),
    LIMIT(FLEET_PAYLOAD_BYTES, BYTES, "of a bundle that is sent; a larger one is refused"),
    LIMIT(FLEET_ROLLOUT_BYTES, BYTES, "of a roll-out's file, likewise"),
    LIMIT(FLEET_ROLLOUTS_MAX, COUNT, "roll-outs that are listed, the newest"),
    LIMIT(FLEET_DIFF_CELLS, COUNT,
          "lines before times lines after, of one file, that are compared line by line; past it the whole is "
          "shown as replaced"),
    LIMIT(FLEET_PRINTS_BYTES, BYTES, "of a file of fingerprints; a longer one is refused"),
};

static void put_value(const struct limit *l, FILE *to)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    uint64_t v = l->value;
    unsigned u = 0;
    for (; l->unit == BYTES && v >= 1024 && v % 1024 == 0 && u + 1 < ARRAY_COUNT(units); u++)
        v /= 1024;
    fprintf(to, "%" PRIu64, v);
    if (l->unit == BYTES)
        fprintf(to, " %s", u ? units[u] : "bytes");
    else if (l->unit == MILLISECONDS)
        fputs(" ms", to);
    else if (l->unit == SECONDS)
        fputs(" s", to);
}

static void put_limits(const char *title, const struct limit *l, size_t count, FILE *to)
{
    fprintf(to, "## %s\n\n| name | value | what happens there |\n| --- | --- | --- |\n", title);
    for (size_t i = 0; i < count; i++) {
        fprintf(to, "| %s | ", l[i].name);
        put_value(&l[i], to);
        fprintf(to, " | %s |\n", l[i].meaning);
    }
    fputc('\n', to);
}

static void limits_doc_write(FILE *to)
{
    put_limits("Configuration and SQL", configuration_limits, ARRAY_COUNT(configuration_limits), to);
    put_limits("Pipeline and store", pipeline_limits, ARRAY_COUNT(pipeline_limits), to);
    put_limits("Requests: shape", request_limits, ARRAY_COUNT(request_limits), to);
    put_limits("The box", box_limits, ARRAY_COUNT(box_limits), to);
    put_limits("The fleet", fleet_limits, ARRAY_COUNT(fleet_limits), to);
}

/* ---- the command ---- */

static void sql_write(FILE *to)
{
    sql_doc_write(to);
    refused_doc_write(to);
}

static void events_doc_write(FILE *to)
{
#define X(id, name, fields, meaning) {name, fields, meaning},
    static const char *const rows[][3] = {EVENTS(X)};
#undef X
    fputs("| event | fields | what happened |\n| --- | --- | --- |\n", to);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        fprintf(to, "| `%s` | %s | %s |\n", rows[i][0], rows[i][1], rows[i][2]);
}

static const struct {
    const char *name;
    void (*write)(FILE *to);
} sections[] = {
    {"configuration", config_doc_write}, {"settings", settings_doc_write}, {"sql", sql_write},
    {"limits", limits_doc_write},        {"metrics", metrics_doc_write},   {"events", events_doc_write}};

int cmd_docs(const struct cli_args *a)
{
    for (size_t i = 0; a->word_count && i < ARRAY_COUNT(sections); i++)
        if (strcmp(a->words[0], sections[i].name) == 0) {
            sections[i].write(stdout);
            return EXIT_DONE;
        }
    fputs("usage: penstock docs configuration|sql|limits|metrics|events\n", stderr);
    return EXIT_USAGE;
}
