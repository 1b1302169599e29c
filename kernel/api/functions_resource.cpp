// /api/v1/functions, /api/v1/functions/{id} and its archive.
#include <utility>

#include "api/resource.hpp"
#include "base/json.hpp"
#include "functions/document.hpp"
#include "functions/json_text.hpp"

namespace cf::api {

namespace {

// A save that is about to be done, and how it was asked for.
struct Save {
    functions::SaveRequest request{};
    bool fromArchive = false;
    std::optional<std::string> archive{};  // as JSON brought it; else it is the request's body
};

// 0: there is no such function.
uint64_t revisionOf(const Call& call) {
    const auto found = call.dependencies.functions.find(call.id);
    return found ? (*found)->function.revision : 0;
}

Save saveOf(const Call& call, functions::Patch&& patch, bool fromArchive) {
    functions::SaveRequest request{.patch = std::move(patch),
                                   .caller = call.caller,
                                   .ifRevision = ifMatch(call.request, revisionOf(call)),
                                   .async = prefersAsync(call.request)};
    if (call.clientGone) request.callerGone = [gone = call.clientGone] { return gone->load(); };
    return {.request = std::move(request), .fromArchive = fromArchive};
}

base::Result<Save> readSave(const Call& call) {
    auto document = base::JsonDocument::parse(call.request.body);
    if (!document) return std::move(document).failure();
    auto patch = functions::readPatch(document->root(), call.dependencies.functions.limits());
    if (!patch) return std::move(patch).failure();
    auto archive = std::exchange(patch->archive, {}).value;
    Save save = saveOf(call, std::move(*patch), archive.has_value());
    save.archive = std::move(archive);
    return save;
}

// Goes on with the save once its archive, if it has one, is unpacked. `reply` is answered by `run`
// or with the archive's fault.
using Run = std::function<void(functions::SaveRequest request, const Reply& reply)>;

Response start(const Call& call, Save save, Run run) {
    return {.later = [call, kept = std::make_shared<Save>(std::move(save)),
                      run = std::move(run)](const Reply& reply) {
        // A build may take minutes; what it needs is read already, but for an archive.
        if (!kept->fromArchive || kept->archive) reply.dropBody();
        // What is refused anyway is not unpacked.
        if (!kept->fromArchive || !kept->request.patch.errors.empty())
            return run(std::move(kept->request), reply);
        const auto& unpack = call.dependencies.unpack;
        if (!unpack)
            return reply(failed(call, {.reason = "invalid_archive",
                                       .detail = "archives are not available on this platform",
                                       .hint = "send the sources as \"files\""}));
        unpack(kept->archive ? *kept->archive : call.request.body,
               [call, kept, run, reply](base::Result<std::vector<functions::SourceFile>> files) {
                   if (!files) return reply(failed(call, files.failure()));
                   kept->archive.reset();
                   reply.dropBody();
                   kept->request.patch.files = {true, std::move(*files)};
                   run(std::move(kept->request), reply);
               });
    }};
}

// Fields of the document that may stand in the query beside an archive.
constexpr std::string_view texts[] = {"runtime", "handler", "description"};
constexpr std::string_view numbers[] = {"timeout",     "init_timeout", "memory",    "concurrency",
                                        "min_workers", "max_workers",  "keep_alive"};

// The query as the JSON document that would say the same.
base::Result<std::string> documentOfQuery(const Call& call) {
    const auto query = Query::read(
        call.request.query, {"runtime", "handler", "description", "timeout", "init_timeout",
                             "memory", "concurrency", "min_workers", "max_workers", "keep_alive"});
    if (!query) return query.failure();
    functions::JsonObject document;
    for (const auto name : texts)
        if (query->has(std::string(name))) document.text(name, query->text(std::string(name)));
    for (const auto name : numbers) {
        if (!query->has(std::string(name))) continue;
        const std::string value = query->text(std::string(name));
        if (value.empty() || value.find_first_not_of("0123456789.") != value.npos ||
            !base::JsonDocument::parse("[" + value + "]"))
            return base::Failure{.reason = "invalid_query",
                                 .detail = "\"" + std::string(name) + "\" must be a number",
                                 .observed = value.substr(0, 64)};
        document.raw(name, value);
    }
    return document.done();
}

base::Result<Save> readArchive(const Call& call) {
    const auto text = documentOfQuery(call);
    if (!text) return text.failure();
    const auto document = base::JsonDocument::parse(*text);
    if (!document) return document.failure();
    auto patch = functions::readPatch(document->root(), call.dependencies.functions.limits());
    if (!patch) return std::move(patch).failure();
    return saveOf(call, std::move(*patch), true);
}

std::string linesOfBuild(const std::string& address, uint64_t number) {
    const std::string version = address + "/versions/" + std::to_string(number);
    // RFC 5989: where to watch what becomes of it.
    return "Location: " + version + "\r\nLink: <" + version + "/build-log>; rel=\"monitor\"\r\n";
}

// Whoever sends a creation again while the first one is built learns where to watch it.
Response notCreated(const Call& call, const std::string& name, const base::Failure& failure) {
    Response response = failed(call, failure);
    if (failure.reason != "name_taken") return response;
    const auto other = call.dependencies.functions.find(name);
    if (!other || (*other)->callable() ||
        (*other)->shown().state != functions::VersionState::building)
        return response;
    response.headers += linesOfBuild("/api/v1/functions/" + (*other)->function.id,
                                     (*other)->shown().number);
    return response;
}

enum class Contents { shown, leftOut };

Response answer(const Call& call, const functions::Saved& saved, Contents contents) {
    const auto& function = saved.entry->function;
    const std::string address = "/api/v1/functions/" + function.id;
    std::string headers = "ETag: " + etagOf(*saved.entry) + "\r\n";
    int status = 200;
    if (saved.building != 0) {
        status = 202;
        headers += "Preference-Applied: respond-async\r\n" + linesOfBuild(address, saved.building);
    } else if (saved.created) {
        status = 201;
        headers += "Location: " + address + "\r\n";
    }
    // The registry's own version is the one without its sources.
    const auto& version =
        contents == Contents::shown ? *saved.version : saved.entry->shown();
    return json(call, status, functions::functionDocument(*saved.entry, version), headers);
}

Contents contentsOf(const Save& save) {
    // Whoever sent an archive has the files; as JSON they may be many times as large.
    return save.fromArchive ? Contents::leftOut : Contents::shown;
}

// PUT and PATCH, whatever the body was.
Response update(const Call& call, Save save) {
    const bool put = call.request.method == "PUT";
    save.request.createOnly = put && asksForNew(call.request);
    save.request.changeOnly = put && call.request.hasHeader("If-Match");
    // An archive is not unpacked in vain.
    if (auto checked = call.dependencies.functions.checkPresence(call.id, save.request); !checked)
        return failed(call, checked.failure());
    const Contents contents = contentsOf(save);
    return start(call, std::move(save),
                 [call, contents, put](functions::SaveRequest request, const Reply& reply) {
                     call.dependencies.functions.update(
                         call.id, std::move(request), put,
                         [call, contents, reply](const base::Result<functions::Saved>& saved) {
                             reply(saved ? answer(call, *saved, contents)
                                         : failed(call, saved.failure()));
                         });
                 });
}

}  // namespace

Response listFunctions(const Call& call) {
    const auto query = Query::read(call.request.query, {"limit", "cursor", "runtime", "q"});
    if (!query) return failed(call, query.failure());
    const auto limit = query->number("limit", 100, 1, 1000);
    if (!limit) return failed(call, limit.failure());
    auto runtime = query->filter("runtime");
    if (!runtime) return failed(call, runtime.failure());
    const auto page = call.dependencies.functions.list({.limit = *limit,
                                                        .cursor = query->text("cursor"),
                                                        .runtime = *std::move(runtime),
                                                        .query = query->text("q")});
    if (!page) return failed(call, page.failure());
    functions::JsonArray summaries;
    for (const auto& entry : page->functions) summaries.raw(functions::functionSummary(*entry));
    functions::JsonObject body;
    body.raw("functions", summaries.done());
    if (page->nextCursor.empty())
        body.null("next_cursor");
    else
        body.text("next_cursor", page->nextCursor);
    return json(call, 200, body.done());
}

Response createFunction(const Call& call) {
    if (auto query = Query::read(call.request.query, {}); !query)
        return failed(call, query.failure());
    auto save = readSave(call);
    if (!save) return failed(call, save.failure());
    const Contents contents = contentsOf(*save);
    return start(call, std::move(*save),
                 [call, contents](functions::SaveRequest request, const Reply& reply) {
                     const std::string name = request.patch.name.value.value_or("");
                     call.dependencies.functions.create(
                         std::move(request), [call, contents, name, reply](
                                                 const base::Result<functions::Saved>& saved) {
                             reply(saved ? answer(call, *saved, contents)
                                         : notCreated(call, name, saved.failure()));
                         });
                 });
}

Response readFunction(const Call& call) {
    const auto query = Query::read(call.request.query, {"files"});
    if (!query) return failed(call, query.failure());
    const auto files = query->flag("files", true);
    if (!files) return failed(call, files.failure());
    const auto found = call.dependencies.functions.find(call.id);
    if (!found) return failed(call, found.failure());
    const std::string etag = etagOf(**found);
    if (ifNoneMatch(call.request, etag)) {
        Response unchanged = json(call, 304, {}, "ETag: " + etag + "\r\n");
        unchanged.headers.erase(0,
                                unchanged.headers.find("\r\n") + 2);  // no content, no Content-Type
        return unchanged;
    }
    if (!*files) return answer(call, {.entry = *found}, Contents::leftOut);
    const auto saved = call.dependencies.functions.read(call.id);
    return saved ? answer(call, *saved, Contents::shown) : failed(call, saved.failure());
}

Response updateFunction(const Call& call) {
    if (auto query = Query::read(call.request.query, {}); !query)
        return failed(call, query.failure());
    auto save = readSave(call);
    return save ? update(call, std::move(*save)) : failed(call, save.failure());
}

Response putArchive(const Call& call) {
    auto save = readArchive(call);
    return save ? update(call, std::move(*save)) : failed(call, save.failure());
}

Response deleteFunction(const Call& call) {
    if (auto query = Query::read(call.request.query, {}); !query)
        return failed(call, query.failure());
    return {.later = [call](Reply reply) {
        call.dependencies.functions.remove(
            call.id, call.caller, ifMatch(call.request, revisionOf(call)),
            [call, reply = std::move(reply)](const base::Result<void>& removed) {
                if (!removed) return reply(failed(call, removed.failure()));
                reply({204, "X-Request-Id: " + requestIdOf(call.request) + "\r\n", {}});
            });
    }};
}

}  // namespace cf::api
