/* Looks at the server's catalogue: one that is older than the last says nothing, none of them leaves memory behind, one that breaks off in
 * the middle frees nothing twice, and strange answers are errors. The sink is the pipeline's, and is not called. */
#include "source/postgres/pg_run.h"
#include "test.h"
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct column columns[] = {{"id", {T_INT4, -1}, true, NULL}};
static uint32_t key[] = {0};
static const struct table_def def = {"core", "t", {1, columns}, 1, key, 0, .table_index = 0};
static struct pg_column pg_columns[] = {{.name = "id", .attnum = 1, .type_oid = 23, .typmod = -1}};
static const struct pg_relation rel = {.relid = 42,
                                       .schema = "public",
                                       .name = "t",
                                       .quoted = "\"public\".\"t\"",
                                       .column_count = 1,
                                       .columns = pg_columns,
                                       .attnum_max = 1,
                                       .kind = 'r'};
static const struct pg_column *of_def[] = {&pg_columns[0]};
static bool in_key[] = {true};
static const bool wanted[] = {true};
static bool stopped[1];
static const struct pg_conf conf = {.source_name = "core", .publication = "penstock"};
static struct pg_table table = {.def = &def, .rel = &rel, .columns = of_def, .in_key = in_key};

static struct pg_run a_run(void)
{
    struct pg_run run = {.conf = &conf,
                         .defs = &def,
                         .def_count = 1,
                         .wanted = wanted,
                         .stopped = stopped,
                         .tables = &table,
                         .table_count = 1,
                         .answered_us = 1000};
    arena_init(&run.arena);
    return run;
}

/* Without a row: the table was dropped, or not yet made. */
static bool dropped(struct pg_run *run, int64_t asked_us, int64_t had_us)
{
    struct pg_answer answer = {
        .tables = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK), .asked_us = asked_us, .had_us = had_us};
    struct err *e = pg_check_since(run, &answer, NULL);
    bool found = e && e->code == ERR_STATE && strstr(e->message, "it was dropped");
    CHECK(found || !e);
    err_free(e);
    pg_answer_clear(&answer);
    return found;
}

static void older_answers(void)
{
    struct pg_run run = a_run();
    CHECK(!dropped(&run, 900, 990));
    CHECK(!dropped(&run, 990, 1010)); /* may have been read before the other */
    CHECK(run.answered_us == 1000);
    CHECK(dropped(&run, 1000, 1020));
    CHECK(run.answered_us == 1020);
    CHECK(!dropped(&run, 1010, 1030));
    arena_fini(&run.arena);
}

/* A session goes on until the connection breaks. */
static void nothing_is_left(void)
{
    struct pg_run run = a_run();
    for (int i = 0; i < 100; i++) {
        pg_tables_record(&run);
        CHECK(!pg_tables_gap(&run));
    }
    CHECK(run.position.table_count == 1 && run.position.tables[0].relid == 42);
    CHECK(run.arena.used_bytes == 0);
    arena_fini(&run.arena);
}

/* ---- a server that answers one question, with a row of one column, and goes away ---- */

static void receive(int fd, bool has_kind)
{
    uint8_t head[5], skipped[4096];
    size_t n = has_kind ? 5 : 4;
    CHECK(recv(fd, head, n, MSG_WAITALL) == (ssize_t)n);
    const uint8_t *len = head + n - 4;
    size_t rest = (size_t)(len[2] << 8 | len[3]) - 4;
    CHECK(rest <= sizeof skipped && recv(fd, skipped, rest, MSG_WAITALL) == (ssize_t)rest);
}

static void *serve(void *arg)
{
    static const char ready[] = "R\0\0\0\10\0\0\0\0S\0\0\0\30server_version\00015.1\0Z\0\0\0\5I";
    static const char answer[] = "T\0\0\0\32\0\1v\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0"
                                 "\0D\0\0\0\13\0\1\0\0\0\1xC\0\0\0\15SELECT 1\0Z\0\0\0\5I";
    int fd = accept(*(int *)arg, NULL, NULL);
    receive(fd, false);
    CHECK(send(fd, ready, sizeof ready - 1, 0) == sizeof ready - 1);
    receive(fd, true);
    CHECK(send(fd, answer, sizeof answer - 1, 0) == sizeof answer - 1);
    receive(fd, true);
    close(fd);
    return NULL;
}

static int listener;
static pthread_t thread;
static char info[128];

static void server_start(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&at, &len) == 0);
    CHECK(pthread_create(&thread, NULL, serve, &listener) == 0);
    snprintf(info, sizeof info, "host=127.0.0.1 port=%u user=u dbname=d sslmode=disable", ntohs(at.sin_port));
}

static void server_end(void)
{
    pthread_join(thread, NULL);
    close(listener);
}

static void lost_between_two_questions(void)
{
    server_start();
    PGconn *conn = PQconnectdb(info);
    CHECK(PQstatus(conn) == CONNECTION_OK);
    PGresult *parts = NULL;
    struct err *e = pg_parts_read(&conf, conn, NULL, "{42}", &parts);
    CHECK(e && strstr(e->message, "cannot read the partitions"));
    CHECK(!parts); /* nothing that was freed before */
    err_free(e);
    PQfinish(conn);
    server_end();
}

/* Another program may listen there. */
static void strange_answers(void)
{
    struct pg_run run = a_run();
    struct pg_identity id;
    server_start();
    PGconn *conn = PQconnectdb(info);
    struct err *e = pg_identify(&run, conn, &id);
    CHECK(e && strstr(e->message, "did not identify itself"));
    err_free(e);
    PQfinish(conn);
    server_end();
    server_start();
    struct pg_conf there = conf;
    there.url = info;
    e = pg_connect(&there, PG_CONN_SQL, 5000, NULL, &conn);
    CHECK(e && strstr(e->message, "the server is not PostgreSQL"));
    err_free(e);
    server_end();
    arena_fini(&run.arena);
}

int main(void)
{
    RUN(older_answers);
    RUN(nothing_is_left);
    RUN(lost_between_two_questions);
    RUN(strange_answers);
    TEST_END();
}
