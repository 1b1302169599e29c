#include "describe.hpp"

#include <algorithm>
#include <array>
#include <cloudfunction/executor.hpp>

namespace cf::python {

namespace {

using cloudfunction::jsonString;

constexpr std::array encodingVariables = {"LANG", "LC_ALL", "LC_CTYPE", "PYTHONUTF8",
                                          "PYTHONCOERCECLOCALE"};
constexpr std::array startVariables = {
    "PYTHONHASHSEED",   "PYTHONOPTIMIZE",    "PYTHONWARNINGS",     "PYTHONDEVMODE",
    "PYTHONMALLOC",     "PYTHONTRACEMALLOC", "PYTHONASYNCIODEBUG", "PYTHONINTMAXSTRDIGITS",
    "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"};

struct Template {
    const char* name;
    const char* title;
    const char* handler;
    const char* code;
};

constexpr Template templates[] = {
    {"hello", "Hello", "handler",
     R"(def handler(event, context):
    return {'message': 'Hello from Python', 'event': event}
)"},
    {"data-analysis", "Data analysis", "analyze_data",
     R"(def analyze_data(event, context):
    import statistics
    data = event.get('data', [])
    if not data:
        return {'error': 'No data provided'}
    return {'mean': statistics.mean(data), 'median': statistics.median(data),
            'mode': statistics.mode(data), 'stdev': statistics.stdev(data)}
)"},
    {"webhook", "Webhook", "webhook",
     R"(import hashlib
import hmac
import json
import os


def webhook(event, context):
    """Takes a delivery whose "signature" is the HMAC-SHA256 of its "payload".

    Set WEBHOOK_SECRET in the function's environment to have signatures checked.
    """
    payload = event.get('payload', {})
    secret = os.environ.get('WEBHOOK_SECRET', '')
    if secret:
        text = json.dumps(payload, sort_keys=True, separators=(',', ':'))
        expected = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, str(event.get('signature', ''))):
            raise PermissionError('the signature does not match')
    print('delivery', context.request_id, payload)
    return {'accepted': True, 'keys': sorted(payload)}
)"},
    {"scheduled-job", "Scheduled job", "run",
     R"(import logging
from datetime import datetime, timezone

log = logging.getLogger('job')


def run(event, context):
    """Made to be called again and again: the result says what it did, the log how it went."""
    started = datetime.now(timezone.utc)
    items = event.get('items', [])
    failed = []
    for item in items:
        try:
            process(item)
        except Exception:
            log.exception('item %r failed', item)
            failed.append(item)
    log.info('%d items done, %d failed', len(items) - len(failed), len(failed))
    return {'started': started.isoformat(), 'done': len(items) - len(failed), 'failed': failed}


def process(item):
    log.info('working on %r', item)
)"},
};

}  // namespace

std::string manifest() {
    std::string json =
        R"({"display_name":"Python","runtimes":[{"name":"python","display_name":"Python",)"
        R"("aliases":[{"name":"python3"}],"source_file":"main.py","file_extensions":[".py"],)"
        R"("editor_mode":"python","default_handler":"handler","templates":[)";
    for (const auto& entry : templates) {
        if (&entry != templates) json += ',';
        json += "{\"name\":" + jsonString(entry.name) + ",\"title\":" + jsonString(entry.title) +
                ",\"handler\":" + jsonString(entry.handler) +
                ",\"code\":" + jsonString(entry.code) + "}";
    }
    json += "]}],\"start_environment\":[";
    bool first = true;
    const auto add = [&](const char* name) {
        json += (first ? "" : ",") + jsonString(name);
        first = false;
    };
    for (const char* name : encodingVariables) add(name);
    for (const char* name : startVariables) add(name);
    return json + R"(],"default_limits":{"memory_mb":128},"properties":[{"name":"path"},)"
                  R"({"name":"source_builds","values":["true","false"]},)"
                  R"({"name":"registry_timeout","minimum":1,"maximum":3600}]})";
}

bool isEncodingVariable(std::string_view name) {
    return std::find(encodingVariables.begin(), encodingVariables.end(), name) !=
           encodingVariables.end();
}

bool isStartVariable(std::string_view name) {
    return isEncodingVariable(name) ||
           std::find(startVariables.begin(), startVariables.end(), name) != startVariables.end();
}

}  // namespace cf::python
