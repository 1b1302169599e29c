#include "manifest.hpp"

#include <array>
#include <string_view>

#include "cloudfunction/executor.hpp"
#include "launch.hpp"

namespace node_executor {

using cloudfunction::jsonString;

namespace {

struct Template {
    std::string_view name, title, handler, runtime, code;
};

constexpr std::array<Template, 5> templates = {{
    {"hello", "Hello", "handler", "node", R"js(function handler(event, context) {
    return { message: "Hello from Node.js", event: event };
}
)js"},
    {"data-analysis", "Data analysis", "analyzeData", "node", R"js(// Event: {"data": [3, 1, 2]}
function analyzeData(event, context) {
    const data = event.data || [];
    if (data.length === 0) return { error: "No data provided" };
    const sorted = [...data].sort((a, b) => a - b);
    const middle = Math.floor(sorted.length / 2);
    const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
    const variance = data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length;
    return {
        count: data.length,
        mean,
        median: sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2,
        deviation: Math.sqrt(variance),
    };
}
)js"},
    {"webhook", "Webhook", "webhook", "node",
     R"js(// Takes what GitHub and its like deliver, at the function's own URL: /function/<name>
// Save the function with "http": {"enabled": true}, and with the secret that sender and receiver share as the
// environment variable WEBHOOK_SECRET. Have the sender send JSON.
const { createHmac, timingSafeEqual } = require("crypto");

function webhook(event, context) {
    const secret = process.env.WEBHOOK_SECRET;
    // An empty secret is one that everybody knows.
    if (!secret) throw new Error("set WEBHOOK_SECRET in the environment of the function");
    const body = Buffer.from(event.body || "", event.is_base64 ? "base64" : "utf8");
    const headers = event.headers || {}; // their names are in small letters
    const given = Buffer.from(String(headers["x-hub-signature-256"]));
    const expected = Buffer.from("sha256=" + createHmac("sha256", secret).update(body).digest("hex"));
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
        return { status_code: 401, body: "the signature does not match" };
    }
    const delivery = JSON.parse(body.toString());
    console.log("accepted", context.request_id, delivery);
    return { accepted: true, action: delivery.action };
}
)js"},
    {"scheduled-job", "Scheduled job", "job", "node",
     R"js(// To be called at regular times. What it prints stands in the log; a thrown error marks the run as failed.
async function job(event, context) {
    const started = Date.now();
    const items = event.items || [];
    let done = 0;
    for (const item of items) {
        if (Date.now() > context.deadline_ms - 1000) {
            console.warn("out of time, the rest is for the next run");
            break;
        }
        console.log("processing", item);
        ++done;
    }
    return { done, left: items.length - done, took_ms: Date.now() - started };
}
)js"},
    {"typescript", "TypeScript", "handler", "typescript", R"js(interface Order {
    items: { name: string; price: number; quantity: number }[];
}

interface Receipt {
    total: number;
    lines: string[];
}

// Event: {"items": [{"name": "tea", "price": 3.5, "quantity": 2}]}
export async function handler(event: Order, context: Record<string, unknown>): Promise<Receipt> {
    const items = event.items ?? [];
    return {
        total: items.reduce((sum, item) => sum + item.price * item.quantity, 0),
        lines: items.map((item) => `${item.quantity} x ${item.name}`),
    };
}
)js"},
}};

std::string templateList() {
    std::string out;
    for (const auto& [name, title, handler, runtime, code] : templates) {
        if (!out.empty()) out += ',';
        out += "{\"name\":" + jsonString(name) + ",\"title\":" + jsonString(title) +
               ",\"handler\":" + jsonString(handler) + ",\"runtime\":" + jsonString(runtime) +
               ",\"code\":" + jsonString(code) + "}";
    }
    return out;
}

}  // namespace

std::string manifest() {
    std::string start;
    for (const auto name : startEnvironment) start += (start.empty() ? "" : ",") + jsonString(name);
    return R"({"display_name":"Node.js","runtimes":[{"name":"node","display_name":"Node.js",)"
           R"("aliases":[{"name":"nodejs"},{"name":"javascript"},{"name":"js"},)"
           R"({"name":"typescript","source_file":"index.ts"},{"name":"ts","source_file":"index.ts"}],)"
           R"("source_file":"index.js",)"
           R"("file_extensions":[".js",".mjs",".cjs",".ts",".mts",".cts",".jsx",".tsx"],)"
           R"("editor_mode":"javascript","default_handler":"handler","templates":[)" +
           templateList() + R"(]}],"start_environment":[)" + start +
           R"(],"default_limits":{"memory_mb":)" + std::to_string(defaultMemoryMb) +
           R"(},"properties":[{"name":"path"},{"name":"npm"},{"name":"esbuild"},)"
           R"({"name":"install_scripts","values":["true","false"]},)"
           R"({"name":"install_scripts_network","values":["true","false"]},)"
           R"({"name":"registry_timeout","minimum":1,"maximum":3600}]})";
}

}  // namespace node_executor
