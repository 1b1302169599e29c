/* The part of the CloudFunction plugin ABI that every kind of plugin shares: versioned struct prefixes, views,
 * sinks, errors and the host. A plugin kind (today: executor.h) adds its own operations on top.
 *
 * Pure C11, usable from C++. Nothing here may change its layout: structs grow at their end, `abi_minor` counts the
 * growth, and a reader copies min(struct_size, sizeof) bytes into a zeroed struct and asks CF_HAS() before it uses
 * a field. Only fixed-width types cross the boundary. Nothing throws, exits, or longjmps across it.
 *
 * Every function carries a tag of its threads.
 *   [load]  called once, by one thread, before any other call on the plugin
 *   [job]   called from several threads at once, each with its own cf_job
 *   [any]   called from any thread at any time; pure, and back within a millisecond
 */
#ifndef CLOUDFUNCTION_ABI_H
#define CLOUDFUNCTION_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Majors must be equal. A plugin loads when the minor it requires is not above the host's. */
#define CF_ABI_MAJOR 1
#define CF_ABI_MINOR 1

#define CF_EXPORT __attribute__((visibility("default")))

/* First members of every struct that crosses the boundary, for ever. `struct_size` is sizeof as its writer knew it. */
#define CF_PREFIX uint32_t struct_size; uint16_t abi_major; uint16_t abi_minor

/* The prefix on its own, to look at a struct of unknown kind. */
typedef struct cf_prefix { CF_PREFIX; } cf_prefix;

/* True when the struct behind `p` was written by somebody who knew `field`. */
#define CF_HAS(p, field) ((p)->struct_size >= offsetof(__typeof__(*(p)), field) + sizeof((p)->field))

/* Initialiser for the prefix of a struct of type T. */
#define CF_PREFIX_INIT(T) (uint32_t)sizeof(T), CF_ABI_MAJOR, CF_ABI_MINOR

/* Borrowed bytes, UTF-8 and valid until the call that received it returns unless said otherwise, not NUL-terminated.
 * `data` may be NULL when `size` is 0. Never grows. */
typedef struct cf_view {
    const char *data;
    uint64_t size;
} cf_view;

/* A name and a value, e.g. one environment variable. Arrays of it are walked with the stride that comes along. */
typedef struct cf_pair {
    cf_view name;
    cf_view value;
} cf_pair;

/* How an operation ended. Values are fixed for ever; an unknown one is CF_FAILED. */
typedef int32_t cf_status;
#define CF_OK 0
#define CF_FAILED 1       /* the operation itself failed; the error says why */
#define CF_INVALID 2      /* the caller's input is at fault; diagnostics or the error name the place */
#define CF_UNAVAILABLE 3  /* something the operation needs is not on this machine; the hint says what to install */
#define CF_CANCELLED 4    /* the job was cancelled or ran out of time */

/* Filled by the side that fails, allocated by the caller. Text beyond the room is cut at a character's edge. */
typedef struct cf_error {
    CF_PREFIX;
    char message[1024]; /* one sentence, NUL-terminated */
    char hint[1024];    /* what the reader can do about it, NUL-terminated, may be empty */
} cf_error;

/* Receives bytes that the other side produced: nobody frees foreign memory. Pieces of several calls are one text. */
typedef struct cf_sink {
    CF_PREFIX;
    void *context;
    void (*write)(void *context, cf_view bytes);
} cf_sink;

#define CF_LOG_DEBUG 0
#define CF_LOG_INFO 1
#define CF_LOG_WARNING 2
#define CF_LOG_ERROR 3
#define CF_SEVERITY_ERROR 0
#define CF_SEVERITY_WARNING 1

/* A remark about a place in the user's own source. Lines and columns count from 1; 0 means unknown. */
typedef struct cf_diagnostic {
    CF_PREFIX;
    cf_view file; /* as the user named it */
    uint32_t line;
    uint32_t column; /* in characters */
    int32_t severity;
    uint32_t reserved;
    cf_view message;
} cf_diagnostic;

/* One build, opaque to plugins. Valid until the operation that received it returns. */
typedef struct cf_job cf_job;

#ifdef __cplusplus
}
#endif
#endif
