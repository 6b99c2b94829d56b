/* The .proto files that are the same everywhere: the generic views, and gRPC's health and reflection. */
#ifndef PENSTOCK_SERVE_PROTO_FILES_H
#define PENSTOCK_SERVE_PROTO_FILES_H

#include "serve/proto_model.h"

/* Of the message Condition, in proto_views and in the typed files of apis. */
#define PROTO_CONDITION_FIELDS 3
extern const struct proto_field proto_condition_fields[PROTO_CONDITION_FIELDS];

extern const struct proto_file proto_views;  /* penstock.v1.Views */
extern const struct proto_file proto_health; /* grpc.health.v1.Health */
extern const struct proto_file proto_reflection, proto_reflection_alpha;

#endif
