#include "app/archive_frames.hpp"

#include <algorithm>

#include "base/json.hpp"
#include "functions/file_names.hpp"
#include "functions/sources.hpp"

namespace cf::app {

namespace {

constexpr size_t headBytes = 5;
constexpr size_t shownBytes = 200;

// What macOS adds to archives, resource forks (AppleDouble) and folder settings: no part of what the
// user packed.
bool isOfMacOs(std::string_view name) {
    const std::string_view last = name.substr(name.rfind('/') + 1);
    return name.starts_with("__MACOSX/") || last == ".DS_Store" || last.starts_with("._");
}

}  // namespace

std::string quotedEntry(std::string_view name) {
    return "\"" + base::toValidUtf8(name.substr(0, shownBytes)) + "\"";
}

base::Failure invalidArchive(std::string detail, std::string hint) {
    return {.reason = "invalid_archive", .detail = std::move(detail), .hint = std::move(hint)};
}

base::Failure tooManyEntries(const ArchiveLimits& limits) {
    auto failure = invalidArchive(
        "the archive holds more than " + std::to_string(limits.entries) + " files and folders",
        "leave out what can be installed again, or raise function.max_files");
    failure.limit = std::to_string(limits.entries) + " files";
    return failure;
}

base::Failure unpacksTooLarge(const ArchiveLimits& limits) {
    auto failure = invalidArchive("the archive unpacks to more than " +
                                      std::to_string(limits.unpackedBytes) + " bytes",
                                  "leave out what the function does not need, or raise "
                                  "function.max_unpacked_bytes");
    failure.limit = std::to_string(limits.unpackedBytes) + " bytes";
    return failure;
}

void ArchiveReader::refuse(base::Failure failure) {
    if (!failure_) failure_ = std::move(failure);
    files_.clear();
    pending_.clear();
}

void ArchiveReader::broken() {
    refuse({.reason = "sandbox_failed",
            .detail = "the archive could not be unpacked: the program that does it failed",
            .hint = "try again; if it happens with this archive only, pack it anew"});
}

bool ArchiveReader::take(std::string_view bytes) {
    while (!bytes.empty() && !failure_) {
        if (complete_) {
            broken();
            break;
        }
        if (pending_.size() < headBytes) {
            const size_t part = std::min(headBytes - pending_.size(), bytes.size());
            pending_.append(bytes.substr(0, part));
            bytes.remove_prefix(part);
            if (pending_.size() < headBytes) break;
        }
        size_t size = 0;
        for (size_t i = 0; i < 4; ++i)
            size |= size_t{static_cast<unsigned char>(pending_[1 + i])} << (8 * i);
        if (size > archiveFrameBytes) {
            broken();
            break;
        }
        const size_t part = std::min(headBytes + size - pending_.size(), bytes.size());
        pending_.append(bytes.substr(0, part));
        bytes.remove_prefix(part);
        if (pending_.size() < headBytes + size) break;
        const std::string whole = std::exchange(pending_, {});
        frame(static_cast<ArchiveFrame>(whole[0]), std::string_view(whole).substr(headBytes));
    }
    return !failure_;
}

void ArchiveReader::frame(ArchiveFrame kind, std::string_view payload) {
    switch (kind) {
        case ArchiveFrame::folder:
            return named(payload, true);
        case ArchiveFrame::file:
            return named(payload, false);
        case ArchiveFrame::content:
            if (!inFile_) return broken();
            bytes_ += payload.size();
            if (bytes_ > limits_.unpackedBytes) return refuse(unpacksTooLarge(limits_));
            files_.back().content.append(payload);
            return;
        case ArchiveFrame::refused:
            // Its words are the process's own: shown, and cut to a sentence's length.
            return refuse(invalidArchive(base::toValidUtf8(payload.substr(0, 1000))));
        case ArchiveFrame::done:
            complete_ = true;
            return;
    }
    broken();
}

void ArchiveReader::named(std::string_view name, bool folder) {
    inFile_ = !folder;
    if (files_.size() + folders_.size() >= limits_.entries) return refuse(tooManyEntries(limits_));
    if (const auto why = functions::whyUnsafeFileName(name, limits_.pathBytes); !why.empty())
        return refuse(invalidArchive("the entry " + quotedEntry(name) + " is refused: " + why));
    if (folder)
        folders_.emplace_back(name);
    else
        files_.push_back({std::string(name), {}});
}

base::Result<std::vector<functions::SourceFile>> ArchiveReader::finish() {
    if (!failure_ && !complete_) broken();
    if (failure_) return *failure_;
    std::vector<functions::FileName> names;
    names.reserve(files_.size() + folders_.size());
    for (const auto& file : files_) names.push_back({file.name, false});
    for (const auto& folder : folders_) names.push_back({folder, true});
    if (const auto clashes = functions::findNameClashes(names); !clashes.empty())
        return invalidArchive("the entry " + quotedEntry(clashes.front().name) +
                                  " is refused: " + clashes.front().detail,
                              "give the files different names and pack them again");
    std::erase_if(files_, [](const auto& file) { return isOfMacOs(file.name); });
    if (files_.empty()) return invalidArchive("the archive holds no files");
    stripCommonFolder(files_);
    names.clear();
    for (const auto& file : files_) names.push_back({file.name, false});
    if (files_.size() + functions::countFolders(names) > limits_.entries)
        return tooManyEntries(limits_);
    std::sort(files_.begin(), files_.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return std::move(files_);
}

void stripCommonFolder(std::vector<functions::SourceFile>& files) {
    if (files.empty()) return;
    const size_t slash = files.front().name.find('/');
    if (slash == std::string::npos) return;
    const std::string folder = files.front().name.substr(0, slash + 1);
    if (!std::all_of(files.begin(), files.end(),
                     [&](const auto& file) { return file.name.starts_with(folder); }))
        return;
    for (auto& file : files) file.name.erase(0, folder.size());
}

}  // namespace cf::app
