/* The executor ABI: what a shared library offers so that the platform can run one more language.
 *
 * An executor says how a version is built and how a worker is started. It is in no invocation's path: kernel and
 * worker speak the frames of docs/worker-protocol.md. The library exports exactly one symbol, cf_executor_entry.
 */
#ifndef CLOUDFUNCTION_EXECUTOR_H
#define CLOUDFUNCTION_EXECUTOR_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One source file of a function. `name` is a relative path with '/' separators, already checked by the host. */
typedef struct cf_file {
    cf_view name;
    cf_view content; /* any bytes */
} cf_file;

/* What an executor may know of a function's version. */
typedef struct cf_function {
    CF_PREFIX;
    cf_view name;
    cf_view runtime; /* as the user typed it: may be one of the manifest's aliases */
    cf_view handler;
    const cf_file *files; /* a function created from `code` has one: the manifest's source_file */
    uint64_t file_count;
    uint32_t file_stride; /* bytes from one cf_file to the next */
    uint32_t environment_stride;
    const cf_pair *environment;
    uint64_t environment_count;
    uint32_t memory_mb;
    uint32_t concurrency; /* how many invocations at once one worker of it takes */
    uint64_t timeout_ms;
    uint64_t from_code; /* 1 when the user gave `code` (one file, bare functions allowed), 0 for `files` */
} cf_function;

/* How a tool sees a folder. Sources that do not exist are an error of the call, unless OPTIONAL is added. */
#define CF_MOUNT_READ_ONLY 0u
#define CF_MOUNT_WRITABLE 1u /* tools only, and only below the job's own folders */
#define CF_MOUNT_OVERLAY 2u  /* tools only: readable as it is, writes go to a scratch layer thrown away afterwards */
#define CF_MOUNT_OPTIONAL 0x100u

/* What a tool can reach: nothing, or what build.network of the properties file allows. The latter is for tools that
 * fetch, never for those that run code of the packages they fetched. */
#define CF_NETWORK_NONE 0u
#define CF_NETWORK_BUILD 1u

/* A program to run in the build sandbox: own user, limits on time, memory, processes and disk. */
typedef struct cf_tool {
    CF_PREFIX;
    const cf_view *argv; /* argv[0] is an absolute path */
    uint64_t argc;
    uint32_t argv_stride;
    uint32_t environment_stride;
    const cf_pair *environment; /* the whole environment: nothing is inherited */
    uint64_t environment_count;
    cf_view directory;     /* where it starts; empty: the source directory */
    cf_view input;         /* given on standard input */
    const cf_sink *output; /* standard output; NULL sends it to the build log */
    const cf_sink *errors; /* standard error; NULL sends it to the build log */
    uint64_t timeout_ms;   /* 0: what is left of the job's time */
    uint64_t network;      /* since 1.1: CF_NETWORK_* */
} cf_tool;

typedef struct cf_tool_result {
    CF_PREFIX;
    int32_t exit_code; /* 0-255; -1 when a signal ended it */
    int32_t signal;    /* 0 when it exited */
    uint64_t out_of_memory; /* 1 when the memory limit ended it */
} cf_tool_result;

/* How a worker ended. */
typedef struct cf_exit {
    CF_PREFIX;
    int32_t exit_code; /* -1 when a signal ended it */
    int32_t signal;    /* 0 when it exited */
    uint32_t memory_mb, reserved;
    cf_view last_errors; /* the end of its standard error, at most 8 KB */
} cf_exit;

/* Where `plan` writes a launch plan. [any], valid during the call. A worker sees /usr, /lib and /bin of the machine;
 * mounts name what lies elsewhere (the executor's own shim). A version's artifact appears at /function by itself. */
typedef struct cf_plan {
    CF_PREFIX;
    void *context;
    void (*argument)(void *context, cf_view value); /* in order; the first is the program */
    void (*environment)(void *context, cf_view name, cf_view value);
    void (*mount)(void *context, cf_view source, cf_view target, uint32_t flags);
    void (*set)(void *context, uint32_t what, uint64_t value); /* CF_PLAN_* */
} cf_plan;

#define CF_PLAN_EXEC 1u          /* 1: the artifact holds a program, argument 0 is its path in there; a prewarmed stub
                                    of the host executes it when LOAD comes */
#define CF_PLAN_CONCURRENCY 2u   /* the most invocations that one worker can take at once; default 1 */
#define CF_PLAN_CHECKS 3u        /* 1: the worker answers CHECK frames */
#define CF_PLAN_NOT_PREWARMED 4u /* 1: the version needs a worker of its own (start-time environment, other memory) */

/* Whatever it leaves in `directory` (absolute, empty, writable for the job's tools) when it returns CF_OK becomes the
 * layer. Runs on the job's thread, inside cf_host.layer. */
typedef cf_status (*cf_layer_fill)(void *context, cf_view directory, cf_error *error);

#define CF_LAYER_BUILD_ONLY 1u /* workers do not need it, only builds do */
#define CF_LOCK_OF_ANY_AGE 1u  /* recall_lock: rather an old lock than none, e.g. when the registry does not answer */

/* What the platform offers an executor. Valid from cf_executor_entry until the process ends. */
typedef struct cf_host {
    CF_PREFIX;
    void *context;
    /* [any] Writes to the platform's log. */
    void (*log)(void *context, int32_t level, cf_view message);
    /* [any] Writes the property executor.<id>.<key> to `value`; CF_FAILED when it is not set. Always there: "home", the
     * folder <id>/ beside the library's file, where its worker files lie. */
    cf_status (*property)(void *context, cf_view key, const cf_sink *value);
    /* [any] A feature of the host by id, e.g. "cloudfunction.example/1"; NULL when there is none. */
    const void *(*get_extension)(void *context, cf_view id);
    /* [job] 1 when the job should stop. */
    int32_t (*cancelled)(cf_job *job);
    /* [job] Adds a mount to the job's build sandbox; the source and artifact directories are there already. */
    void (*tool_mount)(cf_job *job, cf_view source, cf_view target, uint32_t flags);
    /* [job] Runs a tool and waits. CF_OK whenever it ran, whatever its exit code. */
    cf_status (*run_tool)(cf_job *job, const cf_tool *tool, cf_tool_result *result, cf_error *error);
    /* [job] Has a warm worker of this executor parse `source` without running it (CHECK frame). Its remarks, an array
     * of {file,line,column,message,severity,kind}, go to `remarks`; "[]" means sound. */
    cf_status (*check)(cf_job *job, cf_view file, cf_view source, const cf_sink *remarks, cf_error *error);
    /* [job] Says something about a place in the user's source; kept with the version and shown to the user. */
    void (*diagnostic)(cf_job *job, const cf_diagnostic *diagnostic);
    /* [job] One line of the build log, without line end. */
    void (*build_log)(cf_job *job, cf_view line);
    /* All that follows: since 1.1. */
    /* [job] Writes the absolute path of a folder for this job's own files (configuration, downloads), gone with the
     * job. Tools see it read-only unless it is mounted writable. */
    void (*scratch)(cf_job *job, const cf_sink *path);
    /* [job] A lock file kept under the same `name` and exactly the same `made_from` (the manifest it locks and whatever
     * else decides): of this function, else of another one unless it is older than build.lock_age. CF_FAILED: there is
     * none, resolve anew. `flags`: CF_LOCK_OF_ANY_AGE. */
    cf_status (*recall_lock)(cf_job *job, cf_view name, cf_view made_from, uint32_t flags, const cf_sink *content);
    /* [job] Keeps a lock file with the version, so that building it again gives the same. Those the user sent are
     * sources already. */
    void (*keep_lock)(cf_job *job, cf_view name, cf_view made_from, cf_view content);
    /* [job] The dependency layer for `key` (the lock's content and whatever else decides; the host adds executor and
     * toolchain, see probe). Calls `fill` when there is none yet, once, however many jobs ask; a failed fill leaves nothing.
     * `directory` gets its absolute path, read-only and mounted for tools; `link` where a symbolic link at the top of
     * the artifact has to point so that a worker finds it. At most one that is not CF_LAYER_BUILD_ONLY a job. */
    cf_status (*layer)(cf_job *job, cf_view key, uint32_t flags, cf_layer_fill fill, void *context,
                       const cf_sink *directory, const cf_sink *link, cf_error *error);
} cf_host;

/* The operations of an executor. `self` is what `create` returned. */
typedef struct cf_executor {
    CF_PREFIX;
    uint16_t requires_minor; /* the lowest host minor it works with */
    uint16_t reserved[3];
    uint64_t offers; /* bits; unknown ones are ignored. None defined yet. */
    uint64_t requires_bits; /* bits; an unknown one makes the host refuse. None defined yet. */
    cf_view id;      /* [a-z][a-z0-9_]*, e.g. "lua"; valid for ever */
    cf_view version; /* of the executor itself; part of every artifact's key; valid for ever */

    /* [load] Returns the executor's state, NULL on failure. `found` is what `probe` wrote, in the throw-away process
     * where the host ran it, or empty: in that process itself, and where the toolchain is missing. Starts nothing. */
    void *(*create)(const cf_host *host, cf_view found, cf_error *error);
    /* [load] After the last call. */
    void (*destroy)(void *self);
    /* [load] Looks for the toolchain, in a throw-away child process, which may start others and read every path of the
     * machine. Writes an object that `create` will get, at least {"version":"3.11.2","path":"..."}, to `found`, or
     * returns CF_UNAVAILABLE with a reason and, as the hint, what to install. "compatibility" in it is what installed
     * dependencies depend on ("3.11 x86_64"): part of every layer's key in place of "version". */
    cf_status (*probe)(void *self, const cf_sink *found, cf_error *error);
    /* [any] Writes the manifest, a JSON object (docs/executor-abi.md, "Manifest"). Works without a toolchain. */
    cf_status (*describe)(void *self, const cf_sink *manifest, cf_error *error);
    /* [any] Cheap check of handler and files before anything is stored. Remarks are an array as of cf_host.check;
     * `file` is "" for a remark on the handler. CF_INVALID when one of them is an error. */
    cf_status (*validate)(void *self, const cf_function *function, const cf_sink *remarks, cf_error *error);
    /* [job] Turns `source_dir` into `artifact_dir`, both absolute and existing. CF_INVALID when the source is at
     * fault (diagnostics were sent), CF_FAILED when something else is. */
    cf_status (*prepare)(void *self, cf_job *job, const cf_function *function, cf_view source_dir, cf_view artifact_dir,
                         cf_error *error);
    /* [any] Writes how to start a worker. `function` is NULL for the generic, prewarmed one. */
    cf_status (*plan)(void *self, const cf_function *function, const cf_plan *plan, cf_error *error);
    /* [any] Explains a worker's end in words: `error->message` and `hint`. CF_FAILED: nothing to add. */
    cf_status (*describe_exit)(void *self, const cf_exit *exit, cf_error *error);
    /* [any] Forgets whatever it keeps for an artifact. */
    void (*discard)(void *self, cf_view artifact_key);
    /* [any] A feature of the executor by id; NULL when there is none. */
    const void *(*get_extension)(void *self, cf_view id);
    /* [any] Since 1.1, optional. Writes name and content of the manifest that asks for `dependencies`, each as a user
     * of the language writes it ("left-pad@1"); `function` comes without it. CF_INVALID: the error names the one. */
    cf_status (*write_dependencies)(void *self, const cf_function *function, const cf_view *dependencies,
                                    uint64_t count, uint32_t stride, const cf_sink *name, const cf_sink *content,
                                    cf_error *error);
} cf_executor;

/* [load] The one exported symbol. The struct stays valid for ever. NULL: refuses, `error` says why. */
CF_EXPORT const cf_executor *cf_executor_entry(const cf_host *host, cf_error *error);
typedef const cf_executor *(*cf_executor_entry_fn)(const cf_host *host, cf_error *error);

#ifdef __cplusplus
}
#endif
#endif
