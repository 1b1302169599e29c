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
     R"(import base64
import hashlib
import hmac
import json
import os


def webhook(event, context):
    """Takes what GitHub and its like deliver, at the function's own URL: /function/<name>

    Save the function with "http": {"enabled": true}, and with the secret that sender and receiver share as the
    environment variable WEBHOOK_SECRET. Have the sender send JSON.
    """
    secret = os.environ.get('WEBHOOK_SECRET')
    if not secret:  # an empty secret is one that everybody knows
        raise RuntimeError('set WEBHOOK_SECRET in the environment of the function')
    body = event.get('body', '')
    body = base64.b64decode(body) if event.get('is_base64') else body.encode()
    given = event.get('headers', {}).get('x-hub-signature-256', '')  # names of headers are in small letters
    expected = 'sha256=' + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), str(given).encode()):
        return {'status_code': 401, 'body': 'the signature does not match'}
    delivery = json.loads(body)
    print('accepted', context.request_id, delivery)
    return {'accepted': True, 'action': delivery.get('action')}
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
