/* See proto_files.h. Health and reflection are as gRPC's documents describe them (grpc/grpc, doc/health-checking.md and
 * doc/server-reflection.md): names and numbers are theirs. */
#include "serve/proto_files.h"

#define FIELDS(list) ARRAY_COUNT(list), list
#define TEXT(f, n)                                   \
    {                                                \
        .name = f, .number = n, .kind = PROTO_STRING \
    }
#define TEXTS(f, n)                                                           \
    {                                                                         \
        .name = f, .number = n, .kind = PROTO_STRING, .label = PROTO_REPEATED \
    }
#define NOTED(f, n, c)                                             \
    {                                                              \
        .name = f, .number = n, .kind = PROTO_STRING, .comment = c \
    }
#define UINT64(f, n)                                 \
    {                                                \
        .name = f, .number = n, .kind = PROTO_UINT64 \
    }
#define MESSAGE(f, n, t)                                         \
    {                                                            \
        .name = f, .number = n, .kind = PROTO_MESSAGE, .type = t \
    }
#define MESSAGES(f, n, t)                                                                 \
    {                                                                                     \
        .name = f, .number = n, .kind = PROTO_MESSAGE, .label = PROTO_REPEATED, .type = t \
    }

/* ---- penstock.v1.Views ---- */

#define API_FIELDS                                                                             \
    NOTED("api", 1, "Its path: \"balances\", \"customers/top\"."),                             \
    {                                                                                          \
        .name = "version", .number = 2, .kind = PROTO_UINT32, .comment = "0: the current one." \
    }
#define FILTER_FIELDS                                                                                    \
    NOTED("filter", 3,                                                                                   \
          "The query string of the REST request, in PostgREST's grammar, percent-encoded as in a URL:\n" \
          "branch=eq.12&or=(balance.gt.100,owner.is.null)"),                                             \
    {                                                                                                    \
        .name = "conditions", .number = 4, .kind = PROTO_MESSAGE, .label = PROTO_REPEATED,               \
        .type = "Condition", .comment = "Conditions that must hold too."                                 \
    }
#define SELECT_FIELD                                                                           \
    {                                                                                          \
        .name = "select", .number = 5, .kind = PROTO_STRING, .label = PROTO_REPEATED,          \
        .comment = "Columns; renamed and cast as in REST: \"total:balance::text\". None: all." \
    }

static const struct proto_field list_request[] = {
    {.name = "version", .number = 1, .kind = PROTO_UINT32, .comment = "0: the current one."},
};
static const struct proto_field column[] = {
    TEXT("name", 1),
    NOTED("type", 2, "SQL: \"numeric(12,2)\"."),
    {.name = "not_null", .number = 3, .kind = PROTO_BOOL},
    TEXT("comment", 4),
};
static const struct proto_field api[] = {
    TEXT("path", 1),
    TEXT("comment", 2),
    MESSAGES("columns", 3, "Column"),
    {.name = "key",
     .number = 4,
     .kind = PROTO_STRING,
     .label = PROTO_REPEATED,
     .comment = "Names of its columns."},
};
static const struct proto_field list_response[] = {
    MESSAGES("apis", 1, "Api"),
    {.name = "version", .number = 2, .kind = PROTO_UINT32},
};
static const struct proto_field get_request[] = {
    API_FIELDS,
    {.name = "key",
     .number = 3,
     .kind = PROTO_STRING,
     .label = PROTO_REPEATED,
     .comment = "A value for each column of the key, as PostgreSQL writes it."},
    SELECT_FIELD,
};
static const struct proto_field get_response[] = {
    MESSAGES("columns", 1, "Column"),
    MESSAGE("row", 2, "Row"),
    UINT64("epoch", 3),
};
static const struct proto_field query_request[] = {
    API_FIELDS,
    FILTER_FIELDS,
    SELECT_FIELD,
    {.name = "order",
     .number = 6,
     .kind = PROTO_STRING,
     .label = PROTO_REPEATED,
     .comment = "\"balance.desc\", \"owner.asc.nullsfirst\"; the first is the most significant."},
    {.name = "limit", .number = 7, .kind = PROTO_INT64, .label = PROTO_OPTIONAL},
    {.name = "offset", .number = 8, .kind = PROTO_INT64},
};
static const struct proto_field query_response[] = {
    {.name = "columns",
     .number = 1,
     .kind = PROTO_MESSAGE,
     .label = PROTO_REPEATED,
     .type = "Column",
     .comment = "In the first message."},
    MESSAGES("rows", 2, "Row"),
    {.name = "epoch", .number = 3, .kind = PROTO_UINT64, .comment = "In the first message."},
};
static const struct proto_field count_request[] = {API_FIELDS, FILTER_FIELDS};
static const struct proto_field count_response[] = {
    {.name = "count", .number = 1, .kind = PROTO_INT64},
    UINT64("epoch", 2),
};
static const struct proto_field watch_request[] = {
    API_FIELDS,
    FILTER_FIELDS,
    SELECT_FIELD,
    NOTED(
        "resume", 6,
        "The last event's: only what changed since is sent; after too long a time RESET and the rows anew."),
};
static const struct proto_field event[] = {
    {.name = "kind", .number = 1, .kind = PROTO_ENUM, .type = "EventKind"},
    MESSAGE("row", 2, "Row"),
    {.name = "epoch", .number = 3, .kind = PROTO_UINT64, .comment = "Of EPOCH and RESET."},
    NOTED("resume", 4, "Of EPOCH and HEARTBEAT."),
    {.name = "columns",
     .number = 5,
     .kind = PROTO_MESSAGE,
     .label = PROTO_REPEATED,
     .type = "Column",
     .comment = "Of the first event, which has nothing else."},
};
static const struct proto_field row[] = {
    {.name = "values",
     .number = 1,
     .kind = PROTO_MESSAGE,
     .label = PROTO_REPEATED,
     .type = "Value",
     .comment = "One for each column, in their order."},
};
static const struct proto_field value[] = {
    {.name = "bool_value", .number = 1, .kind = PROTO_BOOL, .oneof = "kind"},
    {.name = "int_value", .number = 2, .kind = PROTO_INT64, .oneof = "kind"},
    {.name = "float_value", .number = 3, .kind = PROTO_FLOAT, .oneof = "kind"},
    {.name = "double_value", .number = 4, .kind = PROTO_DOUBLE, .oneof = "kind"},
    {.name = "string_value",
     .number = 5,
     .kind = PROTO_STRING,
     .oneof = "kind",
     .comment =
         "Also numeric, dates and times, uuid, json, ranges, enums: what REST prints, with every digit."},
    {.name = "bytes_value", .number = 6, .kind = PROTO_BYTES, .oneof = "kind"},
    {.name = "array_value", .number = 7, .kind = PROTO_MESSAGE, .type = "Array", .oneof = "kind"},
};
static const struct proto_field array[] = {
    MESSAGES("values", 1, "Value"),
    {.name = "lengths",
     .number = 3,
     .kind = PROTO_UINT32,
     .label = PROTO_REPEATED,
     .comment = "Of each dimension, when there are several: the last one runs fastest."},
    {.name = "lower_bounds",
     .number = 4,
     .kind = PROTO_INT32,
     .label = PROTO_REPEATED,
     .comment = "Of each dimension, when they are not all 1."},
};
const struct proto_field proto_condition_fields[PROTO_CONDITION_FIELDS] = {
    TEXT("column", 1),
    NOTED("operator", 2,
          "eq, neq, gt, gte, lt, lte, like, ilike, in, is, isdistinct, cs, cd, ov, ...; \"not.\" before it."),
    {.name = "values",
     .number = 3,
     .kind = PROTO_STRING,
     .label = PROTO_REPEATED,
     .comment = "As PostgreSQL writes the type: \"42\", \"2026-01-31\". One; any number for \"in\"."},
};
static const struct proto_message views_messages[] = {
    {.name = "ListRequest", .field_count = ARRAY_COUNT(list_request), .fields = list_request},
    {.name = "ListResponse", .field_count = ARRAY_COUNT(list_response), .fields = list_response},
    {.name = "Api", .field_count = ARRAY_COUNT(api), .fields = api},
    {.name = "Column", .field_count = ARRAY_COUNT(column), .fields = column},
    {.name = "GetRequest", .field_count = ARRAY_COUNT(get_request), .fields = get_request},
    {.name = "GetResponse", .field_count = ARRAY_COUNT(get_response), .fields = get_response},
    {.name = "QueryRequest", .field_count = ARRAY_COUNT(query_request), .fields = query_request},
    {.name = "QueryResponse", .field_count = ARRAY_COUNT(query_response), .fields = query_response},
    {.name = "CountRequest", .field_count = ARRAY_COUNT(count_request), .fields = count_request},
    {.name = "CountResponse", .field_count = ARRAY_COUNT(count_response), .fields = count_response},
    {.name = "WatchRequest", .field_count = ARRAY_COUNT(watch_request), .fields = watch_request},
    {.name = "Event", .field_count = ARRAY_COUNT(event), .fields = event},
    {.name = "Condition", .field_count = PROTO_CONDITION_FIELDS, .fields = proto_condition_fields},
    {.name = "Row", .field_count = ARRAY_COUNT(row), .fields = row},
    {.name = "Value", .comment = "Without a kind: NULL.", .field_count = ARRAY_COUNT(value), .fields = value},
    {.name = "Array", .field_count = ARRAY_COUNT(array), .fields = array},
};
static const struct proto_enum_value event_kinds[] = {
    {"EVENT_UNSPECIFIED", 0, NULL},
    {"EVENT_INSERT", 1, "A row, at first or since."},
    {"EVENT_UPDATE", 2, NULL},
    {"EVENT_DELETE", 3, "Deleted, or no longer matching."},
    {"EVENT_EPOCH", 4, "Everything up to this epoch has been sent: the rows are as they were at one moment."},
    {"EVENT_RESET", 5, "Everything before is void; the rows follow anew."},
    {"EVENT_HEARTBEAT", 6, "Nothing has changed."},
};
static const struct proto_enum views_enums[] = {{"EventKind", NULL, FIELDS(event_kinds)}};
static const struct proto_method views_methods[] = {
    {"List", "ListRequest", "ListResponse", "What there is to read.", false, false},
    {"Get", "GetRequest", "GetResponse", "One row by its key; NOT_FOUND if there is none.", false, false},
    {"Query", "QueryRequest", "QueryResponse", "Rows, all of one epoch.", false, true},
    {"Count", "CountRequest", "CountResponse", "How many rows match.", false, false},
    {"Watch", "WatchRequest", "Event", "The rows that match, then every change of exactly these.", false,
     true},
};
static const struct proto_service views_services[] = {
    {"Views", "Every api by its path, for programs that learn what there is when they run.",
     FIELDS(views_methods)},
};
const struct proto_file proto_views = {.name = "penstock/v1/views.proto",
                                       .package = "penstock.v1",
                                       .message_count = ARRAY_COUNT(views_messages),
                                       .messages = views_messages,
                                       .enum_count = ARRAY_COUNT(views_enums),
                                       .enums = views_enums,
                                       .service_count = ARRAY_COUNT(views_services),
                                       .services = views_services};

/* ---- grpc.health.v1.Health ---- */

static const struct proto_field health_request[] = {TEXT("service", 1)};
static const struct proto_field health_response[] = {
    {.name = "status", .number = 1, .kind = PROTO_ENUM, .type = "HealthCheckResponse.ServingStatus"},
};
static const struct proto_enum_value health_states[] = {
    {"UNKNOWN", 0, NULL}, {"SERVING", 1, NULL}, {"NOT_SERVING", 2, NULL}, {"SERVICE_UNKNOWN", 3, NULL}};
static const struct proto_enum health_enum = {"ServingStatus", NULL, FIELDS(health_states)};
static const struct proto_message health_messages[] = {
    {.name = "HealthCheckRequest", .field_count = ARRAY_COUNT(health_request), .fields = health_request},
    {.name = "HealthCheckResponse",
     .field_count = ARRAY_COUNT(health_response),
     .fields = health_response,
     .inner = &health_enum},
};
static const struct proto_method health_methods[] = {
    {"Check", "HealthCheckRequest", "HealthCheckResponse", NULL, false, false},
    {"Watch", "HealthCheckRequest", "HealthCheckResponse", NULL, false, true},
};
static const struct proto_service health_services[] = {{"Health", NULL, FIELDS(health_methods)}};
const struct proto_file proto_health = {.name = "grpc/health/v1/health.proto",
                                        .package = "grpc.health.v1",
                                        .message_count = ARRAY_COUNT(health_messages),
                                        .messages = health_messages,
                                        .service_count = ARRAY_COUNT(health_services),
                                        .services = health_services};

/* ---- grpc.reflection ---- */

static const struct proto_field reflection_request[] = {
    TEXT("host", 1),
    {.name = "file_by_filename", .number = 3, .kind = PROTO_STRING, .oneof = "message_request"},
    {.name = "file_containing_symbol", .number = 4, .kind = PROTO_STRING, .oneof = "message_request"},
    {.name = "file_containing_extension",
     .number = 5,
     .kind = PROTO_MESSAGE,
     .type = "ExtensionRequest",
     .oneof = "message_request"},
    {.name = "all_extension_numbers_of_type", .number = 6, .kind = PROTO_STRING, .oneof = "message_request"},
    {.name = "list_services", .number = 7, .kind = PROTO_STRING, .oneof = "message_request"},
};
static const struct proto_field extension_request[] = {
    TEXT("containing_type", 1),
    {.name = "extension_number", .number = 2, .kind = PROTO_INT32},
};
static const struct proto_field reflection_response[] = {
    TEXT("valid_host", 1),
    MESSAGE("original_request", 2, "ServerReflectionRequest"),
    {.name = "file_descriptor_response",
     .number = 4,
     .kind = PROTO_MESSAGE,
     .type = "FileDescriptorResponse",
     .oneof = "message_response"},
    {.name = "all_extension_numbers_response",
     .number = 5,
     .kind = PROTO_MESSAGE,
     .type = "ExtensionNumberResponse",
     .oneof = "message_response"},
    {.name = "list_services_response",
     .number = 6,
     .kind = PROTO_MESSAGE,
     .type = "ListServiceResponse",
     .oneof = "message_response"},
    {.name = "error_response",
     .number = 7,
     .kind = PROTO_MESSAGE,
     .type = "ErrorResponse",
     .oneof = "message_response"},
};
static const struct proto_field file_response[] = {
    {.name = "file_descriptor_proto", .number = 1, .kind = PROTO_BYTES, .label = PROTO_REPEATED}};
static const struct proto_field extension_numbers[] = {
    TEXT("base_type_name", 1),
    {.name = "extension_number", .number = 2, .kind = PROTO_INT32, .label = PROTO_REPEATED},
};
static const struct proto_field services_response[] = {MESSAGES("service", 1, "ServiceResponse")};
static const struct proto_field service_response[] = {TEXT("name", 1)};
static const struct proto_field error_response[] = {
    {.name = "error_code", .number = 1, .kind = PROTO_INT32},
    TEXT("error_message", 2),
};
static const struct proto_message reflection_messages[] = {
    {.name = "ServerReflectionRequest",
     .field_count = ARRAY_COUNT(reflection_request),
     .fields = reflection_request},
    {.name = "ExtensionRequest", .field_count = ARRAY_COUNT(extension_request), .fields = extension_request},
    {.name = "ServerReflectionResponse",
     .field_count = ARRAY_COUNT(reflection_response),
     .fields = reflection_response},
    {.name = "FileDescriptorResponse", .field_count = ARRAY_COUNT(file_response), .fields = file_response},
    {.name = "ExtensionNumberResponse",
     .field_count = ARRAY_COUNT(extension_numbers),
     .fields = extension_numbers},
    {.name = "ListServiceResponse",
     .field_count = ARRAY_COUNT(services_response),
     .fields = services_response},
    {.name = "ServiceResponse", .field_count = ARRAY_COUNT(service_response), .fields = service_response},
    {.name = "ErrorResponse", .field_count = ARRAY_COUNT(error_response), .fields = error_response},
};
static const struct proto_method reflection_methods[] = {
    {"ServerReflectionInfo", "ServerReflectionRequest", "ServerReflectionResponse", NULL, true, true},
};
static const struct proto_service reflection_services[] = {
    {"ServerReflection", NULL, FIELDS(reflection_methods)}};

#define REFLECTION(version)                                                                            \
    {                                                                                                  \
        .name = "grpc/reflection/" version "/reflection.proto", .package = "grpc.reflection." version, \
        .message_count = ARRAY_COUNT(reflection_messages), .messages = reflection_messages,            \
        .service_count = ARRAY_COUNT(reflection_services), .services = reflection_services             \
    }
const struct proto_file proto_reflection = REFLECTION("v1");
const struct proto_file proto_reflection_alpha = REFLECTION("v1alpha");
