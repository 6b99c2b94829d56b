/* Small JSON files of the data directory: replaced as a whole, by rename, and durable when the call returns. */
#ifndef PENSTOCK_STORE_JSON_FILE_H
#define PENSTOCK_STORE_JSON_FILE_H

#include "base/err.h"

#include <yyjson.h>

/* Writes dir/name; at any moment there is the old file or the new one. Written by root, it belongs to whom the directory
 * belongs to, as the processes of the instance may run as that user. */
NODISCARD struct err *json_file_save(const char *dir, const char *name, const yyjson_mut_doc *doc);
/* *out NULL and no error: there is no such file. ERR_CORRUPT: it is not JSON. Free with yyjson_doc_free. */
NODISCARD struct err *json_file_load(const char *dir, const char *name, yyjson_doc **out);

#endif
