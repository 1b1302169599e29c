#include "app/unpack.hpp"

#include <Poco/Checksum.h>
#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <clocale>
#include <cstdint>
#include <memory>

#include "app/archive_frames.hpp"
#include "base/json.hpp"

namespace cf::app {

namespace {

using namespace std::string_view_literals;

constexpr size_t blockBytes = 512;  // of tar

struct Free {
    void operator()(archive* reader) const { archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, Free>;

// Ends the process's work from wherever it is; the sentence goes to the platform.
struct Refused {
    std::string why{};
};

void put(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) ::_exit(1);  // nobody listens any more
        bytes.remove_prefix(static_cast<size_t>(written));
    }
}

void frame(ArchiveFrame kind, std::string_view payload) {
    std::string head(1, static_cast<char>(kind));
    for (size_t i = 0; i < 4; ++i) head += static_cast<char>(payload.size() >> (8 * i) & 0xff);
    put(head);
    put(payload);
}

std::string readInput(uint64_t mostBytes) {
    std::string bytes;
    for (;;) {
        const size_t had = bytes.size();
        bytes.resize(had + 256 * 1024);
        const ssize_t got = ::read(STDIN_FILENO, bytes.data() + had, bytes.size() - had);
        bytes.resize(had + static_cast<size_t>(got > 0 ? got : 0));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Refused{"the archive did not arrive"};
        if (got == 0) return bytes;
        if (bytes.size() > mostBytes)
            throw Refused{"the archive is larger than " + std::to_string(mostBytes) + " bytes"};
    }
}

std::string said(archive* reader) {
    const char* text = archive_error_string(reader);
    return text == nullptr ? "it stops in the middle" : base::toValidUtf8(text);
}

[[noreturn]] void damaged(archive* reader) {
    throw Refused{"the archive is damaged: " + said(reader)};
}

// Why an entry of this kind is refused; null for files and folders.
const char* whyRefused(archive_entry* entry) {
    if (archive_entry_is_encrypted(entry) != 0) return "it is encrypted";
    if (archive_entry_hardlink(entry) != nullptr) return "it is a hard link";
    switch (archive_entry_filetype(entry)) {
        case AE_IFREG:
        case AE_IFDIR:
            return nullptr;
        case AE_IFLNK:
            return "it is a symbolic link; pack what it points to instead (tar -h)";
        case AE_IFIFO:
            return "it is a named pipe";
        case AE_IFSOCK:
            return "it is a socket";
        default:
            return "it is a device";
    }
}

// "./a/" as "a"; empty for the root itself.
std::string_view plainName(std::string_view name, bool folder) {
    while (name.starts_with("./")) name.remove_prefix(2);
    while (folder && name.ends_with('/') && name.size() > 1) name.remove_suffix(1);
    return name == "." ? std::string_view() : name;
}

// Passes one entry on. `room` is what is left of the limit on contents: the platform refuses what
// goes beyond it, so that nothing behind that is worth the work.
void passEntry(archive* reader, archive_entry* entry, uint64_t& room) {
    const char* raw = archive_entry_pathname(entry);
    if (raw == nullptr) raw = archive_entry_pathname_utf8(entry);
    if (raw == nullptr) throw Refused{"the archive holds an entry whose name is not UTF-8"};
    if (archive_entry_filetype(entry) == AE_IFLNK && isProgramLink(raw)) return;
    if (const char* why = whyRefused(entry))
        throw Refused{"the entry " + quotedEntry(raw) + " is refused: " + why};
    const bool folder = archive_entry_filetype(entry) == AE_IFDIR;
    const std::string_view name = plainName(raw, folder);
    if (name.empty() && folder) return;
    frame(folder ? ArchiveFrame::folder : ArchiveFrame::file, name.substr(0, archiveFrameBytes));
    if (folder) return;
    std::array<char, archiveFrameBytes> content;
    for (;;) {
        const la_ssize_t got = archive_read_data(reader, content.data(), content.size());
        if (got == 0) return;
        if (got < 0) throw Refused{"the entry " + quotedEntry(raw) + " is damaged: " + said(reader)};
        frame(ArchiveFrame::content, {content.data(), static_cast<size_t>(got)});
        if (static_cast<uint64_t>(got) > room) throw Refused{"the archive unpacks to too much"};
        room -= static_cast<uint64_t>(got);
    }
}

// Gives the entries one after the other; `passed` is called behind each.
template <typename Passed>
void passAll(archive* reader, uint64_t room, Passed passed) {
    archive_entry* entry = nullptr;
    for (;;) {
        const int status = archive_read_next_header(reader, &entry);
        if (status == ARCHIVE_EOF) return;
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN) damaged(reader);
        passEntry(reader, entry, room);
        passed();
    }
}

void unpackZip(std::string_view bytes, uint64_t mostBytes) {
    if (auto why = whyBadZip(bytes); !why.empty()) throw Refused{std::move(why)};
    if (bytes.starts_with("PK\5\6"sv)) return;  // no entries, which libarchive takes for no zip
    const Reader reader(archive_read_new());
    archive_read_support_format_zip_seekable(reader.get());
    if (archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK)
        damaged(reader.get());
    passAll(reader.get(), mostBytes, [] {});
}

// The stream inside of gzip or zstd, given to the reader of tar piece by piece: a second reader, so
// that it is known where the tar ended and what stands behind it.
class TarStream {
public:
    TarStream(std::string_view packed, uint64_t mostBytes)
        : packed_(packed), mostBytes_(mostBytes), inner_(archive_read_new()) {
        archive_read_support_filter_gzip(inner_.get());
        archive_read_support_filter_zstd(inner_.get());
        archive_read_support_format_raw(inner_.get());
        archive_entry* entry = nullptr;
        if (archive_read_open_memory(inner_.get(), packed.data(), packed.size()) != ARCHIVE_OK ||
            archive_read_next_header(inner_.get(), &entry) != ARCHIVE_OK)
            damaged(inner_.get());
    }

    // Of archive_read_open: the next piece.
    static la_ssize_t read(archive*, void* self, const void** piece) {
        auto& stream = *static_cast<TarStream*>(self);
        *piece = stream.buffer_.data();
        return stream.next();
    }

    // Behind the last entry: whether the tar ended as it should, at `end`, with nothing behind.
    void finish(uint64_t lastEntryEnd, uint64_t end) {
        while (next() > 0) {}
        if (!why_.empty()) throw Refused{why_};
        // Without the empty block that ends it, it was cut off between two entries.
        if (end < lastEntryEnd + blockBytes)
            throw Refused{"the archive is damaged: its end is missing"};
        const auto taken = static_cast<uint64_t>(archive_filter_bytes(inner_.get(), -1));
        const bool rest = packed_.find_first_not_of('\0', taken) != packed_.npos;
        if (behindLastByte_ > end || (taken < packed_.size() && rest))
            throw Refused{"the archive is refused: something stands behind its end, such as a "
                          "second archive"};
        checkSum(taken);
    }
    const std::string& why() const { return why_; }

private:
    // libarchive does not look at gzip's checksum (RFC 1952 section 2.3.1).
    void checkSum(uint64_t packedBytes) const {
        if (!packed_.starts_with("\x1f\x8b"sv) || packedBytes < 8) return;
        uint32_t stated = 0;
        for (size_t i = 0; i < 4; ++i)
            stated |= uint32_t{static_cast<unsigned char>(packed_[packedBytes - 8 + i])} << (8 * i);
        if (stated != sum_.checksum())
            throw Refused{"the archive is damaged: its checksum is another one"};
    }

    la_ssize_t next() {
        if (!why_.empty()) return -1;
        const la_ssize_t got = archive_read_data(inner_.get(), buffer_.data(), buffer_.size());
        if (got < 0) {
            why_ = "the archive is damaged: " + said(inner_.get());
            return -1;
        }
        const std::string_view piece(buffer_.data(), static_cast<size_t>(got));
        if (const size_t last = piece.find_last_not_of('\0'); last != piece.npos)
            behindLastByte_ = seen_ + last + 1;
        seen_ += piece.size();
        sum_.update(piece.data(), static_cast<unsigned>(piece.size()));
        if (seen_ > mostBytes_) {
            why_ = "the archive unpacks to more than " + std::to_string(mostBytes_) + " bytes";
            return -1;
        }
        return got;
    }

    std::string_view packed_;
    uint64_t mostBytes_;
    Reader inner_;
    std::array<char, 64 * 1024> buffer_;
    uint64_t seen_ = 0, behindLastByte_ = 0;
    Poco::Checksum sum_{Poco::Checksum::TYPE_CRC32};
    std::string why_;
};

void unpackTar(std::string_view bytes, const ArchiveLimits& limits) {
    // Beside the contents a tar has heads: two blocks for an entry, more for long names.
    TarStream stream(bytes, limits.unpackedBytes + limits.entries * 8 * uint64_t{blockBytes} +
                                (1u << 20));
    const Reader reader(archive_read_new());
    archive_read_support_format_tar(reader.get());
    uint64_t lastEntryEnd = 0;
    const auto here = [&] { return static_cast<uint64_t>(archive_filter_bytes(reader.get(), 0)); };
    const auto check = [&] {
        if (!stream.why().empty()) throw Refused{stream.why()};
    };
    if (archive_read_open(reader.get(), &stream, nullptr, &TarStream::read, nullptr) !=
        ARCHIVE_OK) {
        check();
        throw Refused{"the data holds no tar archive"};
    }
    try {
        passAll(reader.get(), limits.unpackedBytes, [&] {
            lastEntryEnd = (here() + blockBytes - 1) / blockBytes * blockBytes;
        });
    } catch (const Refused&) {
        check();  // what stopped the stream is nearer to the cause
        throw;
    }
    stream.finish(lastEntryEnd, here());
}

bool isTar(std::string_view bytes) {
    if (bytes.size() < blockBytes) return false;
    uint64_t sum = 0, stated = 0;
    for (size_t i = 0; i < blockBytes; ++i)
        sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(bytes[i]);
    const size_t digits = bytes.find_first_not_of(' ', 148);
    const auto [end, error] =
        std::from_chars(bytes.data() + digits, bytes.data() + 156, stated, 8);
    return error == std::errc() && end != bytes.data() + digits && sum == stated;
}

bool isPacked(std::string_view bytes) {
    return bytes.starts_with("\x1f\x8b"sv) || bytes.starts_with("\x28\xb5\x2f\xfd"sv);
}

uint64_t numberOf(const std::string& text) {
    uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

void unpack(const ArchiveLimits& limits) {
    const std::string bytes = readInput(limits.archiveBytes);
    if (const auto other = looksLike(bytes); !other.empty())
        throw Refused{"the body is no zip or tar archive; it looks like " + other};
    if (bytes.starts_with("PK")) return unpackZip(bytes, limits.unpackedBytes);
    unpackTar(bytes, limits);
}

}  // namespace

std::string looksLike(std::string_view bytes) {
    if (bytes.starts_with("PK\3\4"sv) || bytes.starts_with("PK\5\6"sv) || isPacked(bytes) ||
        isTar(bytes))
        return {};
    constexpr std::pair<std::string_view, const char*> known[] = {
        {"Rar!\x1a\x07"sv, "a RAR archive"},
        {"7z\xbc\xaf\x27\x1c"sv, "a 7-Zip archive"},
        {"\xfd"
         "7zXZ\0"sv,
         "xz data"},
        {"BZh"sv, "bzip2 data"},
        {"PK\7\x08"sv, "a part of a split zip archive"},
        {"\x7f"
         "ELF"sv,
         "a Linux program"},
        {"MZ"sv, "a Windows program"},
        {"%PDF-"sv, "a PDF document"},
        {"!<arch>"sv, "an ar or Debian package"},
        {"\x89PNG"sv, "a picture"},
        {"\xff\xd8\xff"sv, "a picture"},
        {"SQLite format 3"sv, "a database"},
    };
    if (bytes.empty()) return "nothing: it is empty";
    for (const auto& [start, name] : known)
        if (bytes.starts_with(start)) return name;
    const size_t at = std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size());
    if (at < bytes.size() && bytes[at] == '<') return "a web page";
    if (at < bytes.size() && (bytes[at] == '{' || bytes[at] == '[')) return "JSON";
    const auto start = bytes.substr(0, 1000);
    if (start.find('\0') == start.npos && base::toValidUtf8(start) == start) return "text";
    return "something else";
}

int unpackMain(const std::vector<std::string>& arguments) {
    ArchiveLimits limits;
    if (arguments.size() != 3) return 2;
    limits.archiveBytes = numberOf(arguments[0]);
    limits.unpackedBytes = numberOf(arguments[1]);
    limits.entries = static_cast<uint32_t>(numberOf(arguments[2]));
    // Names in archives are UTF-8; libarchive converts by the locale.
    if (std::setlocale(LC_CTYPE, "C.UTF-8") == nullptr) std::setlocale(LC_CTYPE, "en_US.UTF-8");
    try {
        unpack(limits);
        frame(ArchiveFrame::done, {});
    } catch (const Refused& refused) {
        frame(ArchiveFrame::refused, std::string_view(refused.why).substr(0, 1000));
    }
    return 0;
}

}  // namespace cf::app
