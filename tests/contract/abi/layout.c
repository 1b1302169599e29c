/* Prints where everything in the ABI's structs lies: "struct.field offset size" and "struct size".
 */
#include <stdio.h>

#include "cloudfunction/executor.h"

#define STRUCT(type) printf(#type " %zu\n", sizeof(type))
#define FIELD(type, field) \
    printf(#type "." #field " %zu %zu\n", offsetof(type, field), sizeof(((type*)0)->field))
#define PREFIXED(type) \
    STRUCT(type), FIELD(type, struct_size), FIELD(type, abi_major), FIELD(type, abi_minor)

int main(void) {
    PREFIXED(cf_prefix);
    STRUCT(cf_view);
    FIELD(cf_view, data);
    FIELD(cf_view, size);
    STRUCT(cf_pair);
    FIELD(cf_pair, name);
    FIELD(cf_pair, value);
    PREFIXED(cf_error);
    FIELD(cf_error, message);
    FIELD(cf_error, hint);
    PREFIXED(cf_sink);
    FIELD(cf_sink, context);
    FIELD(cf_sink, write);
    PREFIXED(cf_diagnostic);
    FIELD(cf_diagnostic, file);
    FIELD(cf_diagnostic, line);
    FIELD(cf_diagnostic, column);
    FIELD(cf_diagnostic, severity);
    FIELD(cf_diagnostic, reserved);
    FIELD(cf_diagnostic, message);
    STRUCT(cf_file);
    FIELD(cf_file, name);
    FIELD(cf_file, content);
    PREFIXED(cf_function);
    FIELD(cf_function, name);
    FIELD(cf_function, runtime);
    FIELD(cf_function, handler);
    FIELD(cf_function, files);
    FIELD(cf_function, file_count);
    FIELD(cf_function, file_stride);
    FIELD(cf_function, environment_stride);
    FIELD(cf_function, environment);
    FIELD(cf_function, environment_count);
    FIELD(cf_function, memory_mb);
    FIELD(cf_function, concurrency);
    FIELD(cf_function, timeout_ms);
    FIELD(cf_function, from_code);
    PREFIXED(cf_tool);
    FIELD(cf_tool, argv);
    FIELD(cf_tool, argc);
    FIELD(cf_tool, argv_stride);
    FIELD(cf_tool, environment_stride);
    FIELD(cf_tool, environment);
    FIELD(cf_tool, environment_count);
    FIELD(cf_tool, directory);
    FIELD(cf_tool, input);
    FIELD(cf_tool, output);
    FIELD(cf_tool, errors);
    FIELD(cf_tool, timeout_ms);
    FIELD(cf_tool, network);
    PREFIXED(cf_tool_result);
    FIELD(cf_tool_result, exit_code);
    FIELD(cf_tool_result, signal);
    FIELD(cf_tool_result, out_of_memory);
    PREFIXED(cf_exit);
    FIELD(cf_exit, exit_code);
    FIELD(cf_exit, signal);
    FIELD(cf_exit, memory_mb);
    FIELD(cf_exit, reserved);
    FIELD(cf_exit, last_errors);
    PREFIXED(cf_plan);
    FIELD(cf_plan, context);
    FIELD(cf_plan, argument);
    FIELD(cf_plan, environment);
    FIELD(cf_plan, mount);
    FIELD(cf_plan, set);
    PREFIXED(cf_host);
    FIELD(cf_host, context);
    FIELD(cf_host, log);
    FIELD(cf_host, property);
    FIELD(cf_host, get_extension);
    FIELD(cf_host, cancelled);
    FIELD(cf_host, tool_mount);
    FIELD(cf_host, run_tool);
    FIELD(cf_host, check);
    FIELD(cf_host, diagnostic);
    FIELD(cf_host, build_log);
    FIELD(cf_host, scratch);
    FIELD(cf_host, recall_lock);
    FIELD(cf_host, keep_lock);
    FIELD(cf_host, layer);
    PREFIXED(cf_executor);
    FIELD(cf_executor, requires_minor);
    FIELD(cf_executor, reserved);
    FIELD(cf_executor, offers);
    FIELD(cf_executor, requires_bits);
    FIELD(cf_executor, id);
    FIELD(cf_executor, version);
    FIELD(cf_executor, create);
    FIELD(cf_executor, destroy);
    FIELD(cf_executor, probe);
    FIELD(cf_executor, describe);
    FIELD(cf_executor, validate);
    FIELD(cf_executor, prepare);
    FIELD(cf_executor, plan);
    FIELD(cf_executor, describe_exit);
    FIELD(cf_executor, discard);
    FIELD(cf_executor, get_extension);
    FIELD(cf_executor, write_dependencies);
    return 0;
}
