/* Every key of penstock.yaml but those inside a source, which the source reads itself. */
#include "config/keys.h"

#define AT(field) offsetof(struct config, field)
#define MS        INT64_C(1000)
#define SEC       INT64_C(1000000)
#define KIB       INT64_C(1024)
#define MIB       (KIB * KIB)

const struct config_key config_keys[] = {
    {"penstock", KEY_FORMAT, NULL, 1, 1, 0, "Format of this file: 1. Required."},
    {"sources", KEY_SOURCES, NULL, 0, 0, 0,
     "Where data comes from: NAME: { KIND: {...} }. SQL calls a source's tables NAME.table."},
    {"sql", KEY_SQL, NULL, 0, 0, 0,
     "SQL files, or the SQL itself as a block: CREATE VIEW, CREATE INDEX, COMMENT ON."},
    {"apis", KEY_APIS, NULL, 0, 0, 0,
     "What is published: PATH: with nothing, or { view: NAME, key: [columns], references: { COLUMN: PATH } "
     "}. "
     "Nothing is published unless named here."},
    {"versions", KEY_SECTION, NULL, 0, 0, 0,
     "What happens to clients when a change of the configuration would break them."},
    {"versions.switch", KEY_SWITCH, "auto", 0, 0, AT(switch_auto),
     "When unpinned paths go over to a new version: auto, as soon as it is complete, or manual, by penstock "
     "version switch."},
    {"versions.keep", KEY_COUNT, "4", 2, CONFIG_VERSIONS_MAX, AT(versions_keep),
     "Most versions served side by side. A change that needs one more is refused until one was retired."},
    {"access", KEY_SECTION, NULL, 0, 0, 0, "Who may read and push."},
    {"access.anonymous", KEY_ANONYMOUS, "none", 0, 0, AT(anonymous),
     "What a request without a token may do: none or read."},
    {"access.why", KEY_ANONYMOUS, "none", 0, 0, AT(why),
     "Whether everyone who may read a row may ask why it is so. The answer shows rows of the source tables, "
     "with all "
     "columns that are mirrored. `penstock why` on the machine does in any case."},
    {"access.errors", KEY_ANONYMOUS, "none", 0, 0, AT(errors),
     "Whether a request without a token may read the error rows of views, none or read. They show columns "
     "that the view itself may not."},
    {"access.ingest", KEY_PUSH, "none", 0, 0, AT(ingest),
     "Whether a request without a token may push rows into ingest sources, none or write."},
    {"access.jwt", KEY_SECTION, NULL, 0, 0, 0, "Tokens of an identity provider: JSON Web Tokens."},
    {"access.jwt.jwks", KEY_PATH, NULL, 0, 0, AT(access.jwt.jwks),
     "File with the provider's public keys (JWKS). It is read again when it changes."},
    {"access.jwt.issuer", KEY_NAME, NULL, 0, 0, AT(access.jwt.issuer),
     "What a token's iss must be; without it any issuer with one of the keys."},
    {"access.jwt.audience", KEY_NAMES, NULL, 0, 0, AT(access.jwt.audience),
     "What a token's aud must hold one of; without it a token that names an audience is refused."},
    {"access.jwt.algorithms", KEY_NAMES, NULL, 0, 0, AT(access.jwt.algorithms),
     "Which of RS256, ES256, EdDSA and HS256 are taken; all but HS256 without it. A key is used for the one "
     "algorithm of its type alone."},
    {"access.jwt.role_claim", KEY_NAME, "role", 0, 0, AT(access.jwt.role_claim),
     "The claim that names the role; a dot leads into an object."},
    {"access.jwt.leeway", KEY_DURATION, "30s", 0, 300 * SEC, AT(access.jwt.leeway_us),
     "By how much the provider's clock may differ, for exp, nbf and iat."},
    {"access.roles", KEY_ROLES, NULL, 0, 0, 0,
     "ROLE: { API: read, or { rows: \"CONDITION\", columns: [names], why: true } }. \"*\" stands for the "
     "apis that the "
     "role does "
     "not name. The role anonymous is that of who shows nothing; every role may see what it may."},
    {"access.certificates", KEY_CERTIFICATES, NULL, 0, 0, 0,
     "Client certificates and their roles: \"CN=NAME\", \"dns:NAME\", \"uri:URI\", \"email:ADDRESS\" or "
     "\"subject:WHOLE SUBJECT\": ROLE."},
    {"access.admin", KEY_NAMES, NULL, 0, 0, AT(access.admin),
     "Roles that may read the lists of error rows under /admin."},
    {"server", KEY_SECTION, NULL, 0, 0, 0, "The API server."},
    {"server.listen", KEY_LISTEN, "0.0.0.0:8443", 0, 65535, 0,
     "Address and port of REST, live queries and console."},
    {"server.grpc", KEY_GRPC, NULL, 0, 65535, 0,
     "Second address and port for the same, where gRPC clients look for it; none: gRPC is answered on "
     "server.listen "
     "alone. Default: the address of server.listen, port 9443, if that is free."},
    {"server.user", KEY_NAME, NULL, 0, 0, AT(user),
     "User that all processes run as when penstock run is started by root. Read at the start alone."},
    {"server.cors", KEY_SECTION, NULL, 0, 0, 0, "Pages of other origins, in browsers."},
    {"server.cors.origins", KEY_ORIGINS, "*", 0, 0, AT(cors),
     "Origins whose pages may read answers (https://app.example.net), * for any, or none. It protects "
     "browsers' users, and "
     "is no substitute for roles."},
    {"server.tls", KEY_SECTION, NULL, 0, 0, 0,
     "Certificate; without one a self-signed one is made once and kept."},
    {"server.tls.certificate", KEY_PATH, NULL, 0, 0, AT(certificate), "PEM file with the certificate chain."},
    {"server.tls.key", KEY_PATH, NULL, 0, 0, AT(key), "PEM file with the private key."},
    {"server.tls.client_ca", KEY_PATH, NULL, 0, 0, AT(client_ca),
     "PEM file of the authorities that vouch for clients' certificates."},
    {"server.tls.client_auth", KEY_CLIENT_AUTH, "none", 0, 0, AT(client_auth),
     "Whether clients show a certificate: none, request (they may) or require (who shows none does not come "
     "in). With it sessions "
     "are not resumed."},
    {"cores", KEY_SECTION, NULL, 0, 0, 0, "Which processor cores do what."},
    {"cores.shards", KEY_CORES, "auto", 1, 1024, AT(shards),
     "Cores of the pipeline: auto, a count, or a list such as 4-31,36-63."},
    {"cores.serve", KEY_CORES, "auto", 1, 1024, AT(serve), "Cores of the API server, likewise."},
    {"store", KEY_SECTION, NULL, 0, 0, 0, "Where and how data is kept."},
    {"store.path", KEY_STORE_PATH, "./data", 0, 0, AT(store_path), "Folder of the store."},
    {"store.epoch", KEY_DURATION, "5ms", 100, 10 * SEC, AT(epoch_us),
     "At most this long until a change is visible under load."},
    {"store.checkpoint", KEY_DURATION, "1s", 10 * MS, 3600 * SEC, AT(checkpoint_us),
     "How often the visible state is made durable."},
    {"store.checkpoint_bytes", KEY_SIZE, "128MiB", MIB, MIB *MIB, AT(checkpoint_bytes),
     "And at the latest after so many bytes written."},
    {"store.change_log", KEY_DURATION, "10m", 0, 365 * 86400 * SEC, AT(change_log_us),
     "How long changes are kept for live queries that resume."},
    {"store.change_log_rows", KEY_COUNT, "100000", 0, INT64_C(1000000000), AT(change_log_rows),
     "And at most so many per view and shard."},
    {"store.error_rows", KEY_COUNT, "100", 1, 10000, AT(error_rows),
     "Most rows of a view's list of error rows; past it they are counted alone."},
    {"store.reserve", KEY_SIZE, "64MiB", MIB, MIB *MIB, AT(reserve_bytes),
     "Room that is left on the disk: with less, ingest pauses until there is more again. Twice the largest "
     "transaction "
     "is a good value."},
    {"store.map", KEY_SIZE, "64GiB", MIB, MIB *MIB, AT(map_bytes),
     "Address space of a shard at first; it is doubled when half of it is used."},
    {"limits", KEY_SECTION, NULL, 0, 0, 0, "Bounds of what a request may ask for."},
    {"limits.scan_rows", KEY_COUNT, "100000", 0, INT64_C(1000000000), AT(limits.scan_rows),
     "Filters without an index scan views up to so many rows."},
    {"limits.page_rows", KEY_COUNT, "100000", 1, INT64_C(100000000), AT(limits.page_rows),
     "Most rows of one answer."},
    {"limits.connections", KEY_COUNT, "10000", 1, 1000000, AT(limits.connections),
     "Most connections at once."},
    {"limits.address_connections", KEY_COUNT, "0", 0, 1000000, AT(limits.address_connections),
     "Most connections of one address (IPv6: of one /64) at once; each server core keeps its share. 0: no "
     "limit."},
    {"limits.address_requests", KEY_COUNT, "0", 0, 1000000, AT(limits.address_requests),
     "Most requests of one address a second, likewise; 429 past it. 0: no limit."},
    {"limits.caller_requests", KEY_COUNT, "0", 0, 1000000, AT(limits.caller_requests),
     "Most requests with one token or certificate a second, likewise; 429 past it. 0: no limit."},
    {"limits.caller_subscribers", KEY_COUNT, "0", 0, 1000000, AT(limits.caller_subscribers),
     "Most live queries with one token or certificate at once, likewise; 429 past it. 0: no limit."},
    {"limits.auth_failures", KEY_COUNT, "60", 0, 1000000, AT(limits.auth_failures),
     "Most credentials of one address that are not taken a minute, likewise; 429 past it. Credentials that "
     "are known go on being "
     "taken. 0: no limit."},
    {"limits.header_bytes", KEY_SIZE, "16KiB", KIB, MIB, AT(limits.header_bytes),
     "Most bytes of a request's headers."},
    {"limits.target_bytes", KEY_SIZE, "8KiB", 256, MIB, AT(limits.target_bytes),
     "Most bytes of a request's target: path and query; 414 past it."},
    {"limits.body_bytes", KEY_SIZE, "1MiB", 0, 1024 * MIB, AT(limits.body_bytes),
     "Most bytes of a request's body."},
    {"limits.idle_timeout", KEY_DURATION, "60s", 100 * MS, 86400 * SEC, AT(limits.idle_timeout_us),
     "A connection without a request is closed after this."},
    {"limits.body_timeout", KEY_DURATION, "20s", 100 * MS, 3600 * SEC, AT(limits.body_timeout_us),
     "In each such time a request's body must bring 64 KiB or its end; else 408, and nothing of it is "
     "stored."},
    {"limits.header_timeout", KEY_DURATION, "10s", 100 * MS, 3600 * SEC, AT(limits.header_timeout_us),
     "From the first byte to the end of the headers, and for the TLS handshake."},
    {"limits.write_timeout", KEY_DURATION, "30s", 100 * MS, 3600 * SEC, AT(limits.write_timeout_us),
     "A client that takes nothing of its answer for so long is closed."},
    {"limits.answer_bytes", KEY_SIZE, "64MiB", 4 * KIB, 1024 * MIB, AT(limits.answer_bytes),
     "Most bytes of one answer's body; the request is refused past it."},
    {"limits.compress_bytes", KEY_SIZE, "1KiB", 1, 1024 * MIB, AT(limits.compress_bytes),
     "Answers of at least so many bytes are compressed, if the client asks for gzip or zstd."},
    {"limits.compress_max_bytes", KEY_SIZE, "4MiB", 0, 64 * MIB, AT(limits.compress_max_bytes),
     "And of at most so many: a server core compresses a whole answer at a time. 0: none is compressed."},
    {"limits.pending_bytes", KEY_SIZE, "256MiB", 64 * KIB, MIB *MIB, AT(limits.pending_bytes),
     "Most bytes of answers that the clients of one server core have not taken yet; new requests wait past "
     "it."},
    {"limits.wait", KEY_DURATION, "5s", 0, 3600 * SEC, AT(limits.wait_us),
     "Longest wait of Penstock-Wait; then 504."},
    {"limits.heartbeat", KEY_DURATION, "15s", 100 * MS, 3600 * SEC, AT(limits.heartbeat_us),
     "A live query without changes gets a comment line this often."},
    {"limits.live_changes", KEY_COUNT, "100000", 0, INT64_C(1000000000), AT(limits.live_changes),
     "A live query that resumes further behind starts over: event reset and the rows anew."},
    {"limits.live_queue_bytes", KEY_SIZE, "1MiB", 4 * KIB, 1024 * MIB, AT(limits.live_queue_bytes),
     "A subscriber that is further behind is dropped."},
    {"limits.live_step", KEY_DURATION, "2ms", 0, 1 * SEC, AT(limits.live_step_us),
     "Once reading rows for live queries anew took a loop this long, its other clients are answered before "
     "it goes on."},
    {"limits.live_window", KEY_COUNT, "1000", 0, 100000, AT(limits.live_window),
     "Most rows that limit and offset of a live query may be together."},
    {"limits.live_window_bytes", KEY_SIZE, "256MiB", 1 * MIB, 65536 * MIB, AT(limits.live_window_bytes),
     "Of the rows that live queries with a limit hold in memory; past it no more such queries start."},
    {"limits.subscribers", KEY_COUNT, "10000", 0, 1000000, AT(limits.subscribers),
     "Most live queries at once."},
    {"limits.why_rows", KEY_COUNT, "1000000", 1, INT64_C(1000000000), AT(limits.why_rows),
     "Rows that are looked at to answer one why; past it the answer says that it is not complete."},
    {"limits.why_time", KEY_DURATION, "5s", 10 * MS, 20 * SEC, AT(limits.why_time_us),
     "Likewise how long it takes. The store keeps the pages of its epoch for so long."},
    {"limits.h2_streams", KEY_COUNT, "100", 1, 10000, AT(limits.h2_streams),
     "Most requests under way on one HTTP/2 connection."},
    {"limits.h2_resets", KEY_COUNT, "200", 1, 100000, AT(limits.h2_resets),
     "Requests that an HTTP/2 client may cancel in a burst; a tenth of it comes back each second. Its "
     "connection "
     "ends past it."},
    {"limits.h2_control_frames", KEY_COUNT, "1000", 50, 1000000, AT(limits.h2_control_frames),
     "HTTP/2 frames without content that a client may send in a burst; a tenth of it comes back each second, "
     "one for every 4 KiB of bodies, and three for every frame of data that it is sent. Its connection ends "
     "past it."},
    {"limits.h2_pending_bytes", KEY_SIZE, "16MiB", 64 * KIB, 1024 * MIB, AT(limits.h2_pending_bytes),
     "Bytes of answers that an HTTP/2 connection's client has not taken; its further requests are refused "
     "past it, to "
     "be sent again."},
    {"limits.memory", KEY_MEMORY, "auto", 64 * MIB, 1024 * MIB *MIB, AT(limits.memory),
     "Memory of the pipeline process, without file pages that the kernel can take back; past it ingest "
     "pauses. auto: 70 % "
     "of the "
     "machine's or the control group's."},
    {"limits.metrics_operators", KEY_COUNT, "1000", 0, 100000, AT(limits.metrics_operators),
     "Operators with numbers of their own in /metrics; further ones are added up. 0: none of any."},
    {"limits.stuck", KEY_DURATION, "120s", 0, 86400 * SEC, AT(limits.stuck_us),
     "A shard or a serve loop that does not get on for so long, without working, is stuck: its process "
     "leaves a crash "
     "report and is started anew. So is a serve loop at work on one step for ten times as long. 0: never."},
};
const uint32_t config_key_count = ARRAY_COUNT(config_keys);

static const char *type_text(enum key_type t)
{
    static const char *const texts[] = {
        [KEY_SECTION] = "section",
        [KEY_FORMAT] = "1",
        [KEY_SOURCES] = "mapping",
        [KEY_SQL] = "files or SQL",
        [KEY_APIS] = "mapping",
        [KEY_ANONYMOUS] = "none, read",
        [KEY_PUSH] = "none, write",
        [KEY_SWITCH] = "auto, manual",
        [KEY_LISTEN] = "host:port",
        [KEY_GRPC] = "host:port, none",
        [KEY_PATH] = "path",
        [KEY_STORE_PATH] = "path",
        [KEY_NAME] = "name",
        [KEY_NAMES] = "name or list",
        [KEY_ORIGINS] = "origin or list",
        [KEY_CLIENT_AUTH] = "none, request, require",
        [KEY_ROLES] = "mapping",
        [KEY_CERTIFICATES] = "mapping",
        [KEY_CORES] = "auto, count, list",
        [KEY_DURATION] = "duration",
        [KEY_SIZE] = "size",
        [KEY_COUNT] = "count",
        [KEY_MEMORY] = "auto, size",
    };
    return texts[t];
}

static void put_amount(FILE *to, enum key_type t, int64_t v)
{
    static const struct {
        int64_t factor;
        const char *name;
    } times[] = {{86400 * SEC, "d"}, {3600 * SEC, "h"}, {60 * SEC, "m"}, {SEC, "s"}, {MS, "ms"}, {1, "us"}},
      sizes[] = {{MIB * MIB, "TiB"}, {MIB * KIB, "GiB"}, {MIB, "MiB"}, {KIB, "KiB"}, {1, "B"}};
    if (t == KEY_DURATION || t == KEY_SIZE) {
        size_t n = t == KEY_DURATION ? ARRAY_COUNT(times) : ARRAY_COUNT(sizes);
        for (size_t i = 0; i < n; i++) {
            int64_t factor = t == KEY_DURATION ? times[i].factor : sizes[i].factor;
            if (v && v % factor == 0) {
                fprintf(to, "%lld%s", (long long)(v / factor),
                        t == KEY_DURATION ? times[i].name : sizes[i].name);
                return;
            }
        }
    }
    fprintf(to, "%lld", (long long)v);
}

void config_doc_write(FILE *to)
{
    fputs("| key | value | default | range | meaning |\n| --- | --- | --- | --- | --- |\n", to);
    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        fprintf(to, "| `%s` | %s | %s | ", k->path, type_text(k->type), k->standard ? k->standard : "");
        if (k->type == KEY_DURATION || k->type == KEY_SIZE || k->type == KEY_COUNT) {
            put_amount(to, k->type, k->min);
            fputs(" to ", to);
            put_amount(to, k->type, k->max);
        }
        fprintf(to, " | %s |\n", k->help);
    }
}
