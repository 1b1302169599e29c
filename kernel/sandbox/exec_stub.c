/* What waits in a prewarmed sandbox for a compiled artifact: says HELLO, looks at LOAD without
 * taking it, and becomes the artifact, which then reads LOAD itself. Statically linked and without
 * C++, so that it starts in well under a millisecond and needs nothing of the sandbox's files.
 * Frames: docs/worker-protocol.md. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { workerSocket = 3, headerSize = 16, itemHeaderSize = 8 };
enum { frameHello = 1, frameLoad = 2, frameStop = 18 };
enum { tagVersion = 1, tagLanguage = 2, tagConcurrency = 3, tagArtifact = 4, tagEnvironment = 6 };
/* What the socket's buffer surely holds as a whole; LOAD carries the environment and names, no
 * code. */
static const uint32_t maxLoad = 512u * 1024;

static void leave(const char* what) {
    dprintf(STDERR_FILENO, "cloudfunction-stub: %s\n", what);
    _exit(112);
}

static void put16(unsigned char* at, uint16_t value) { memcpy(at, &value, sizeof value); }
static void put32(unsigned char* at, uint32_t value) { memcpy(at, &value, sizeof value); }
static uint16_t get16(const unsigned char* at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static uint32_t get32(const unsigned char* at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static unsigned char* putItem(unsigned char* at, uint16_t tag, const void* value, uint32_t size) {
    put16(at, tag);
    put16(at + 2, 0);
    put32(at + 4, size);
    memcpy(at + itemHeaderSize, value, size);
    return at + itemHeaderSize + size;
}

static void sayHello(void) {
    static const char language[] = "compiled";
    const uint64_t one = 1;
    unsigned char frame[128] = {0};
    unsigned char* end = frame + headerSize;
    end = putItem(end, tagVersion, &one, sizeof one);
    end = putItem(end, tagLanguage, language, sizeof language - 1);
    end = putItem(end, tagConcurrency, &one, sizeof one);
    put32(frame, (uint32_t)(end - frame) - headerSize);
    frame[4] = frameHello;
    const ssize_t size = end - frame;
    if (send(workerSocket, frame, (size_t)size, MSG_NOSIGNAL) != size) _exit(0);
}

/* Looks at `size` bytes, waiting until they are there. Leaves when the kernel's end closes. */
static void peek(unsigned char* buffer, size_t size) {
    for (;;) {
        struct pollfd ready = {workerSocket, POLLIN, 0};
        if (poll(&ready, 1, -1) < 0 && errno != EINTR) leave("poll failed");
        const ssize_t got = recv(workerSocket, buffer, size, MSG_PEEK);
        if (got == 0) _exit(0);
        if (got == (ssize_t)size) return;
        if (got < 0 && errno != EINTR && errno != EAGAIN) _exit(0);
        /* The rest is on its way; poll would not wait for it. */
        const struct timespec pause = {0, 100 * 1000};
        nanosleep(&pause, NULL);
    }
}

static char* copyText(const unsigned char* value, uint32_t size) {
    char* text = malloc((size_t)size + 1);
    if (text == NULL || memchr(value, 0, size) != NULL) leave("LOAD carries an impossible text");
    memcpy(text, value, size);
    text[size] = 0;
    return text;
}

int main(int argc, char** argv) {
    if (argc < 2) leave("it is started by the platform, not by hand");
    sayHello();
    unsigned char header[headerSize];
    peek(header, sizeof header);
    if (header[4] == frameStop) return 0;
    const uint32_t size = get32(header);
    if (header[4] != frameLoad || size > maxLoad)
        leave("the first frame is not a LOAD of reasonable size");
    unsigned char* frame = malloc(headerSize + (size_t)size);
    if (frame == NULL) leave("out of memory");
    peek(frame, headerSize + (size_t)size);

    const char* artifact = "/function";
    const unsigned char* at = frame + headerSize;
    const unsigned char* const end = at + size;
    while (at < end) {
        if (end - at < itemHeaderSize || get32(at + 4) > (uint32_t)(end - at - itemHeaderSize))
            leave("LOAD is malformed");
        const uint16_t tag = get16(at);
        const uint32_t length = get32(at + 4);
        if (tag == tagArtifact) artifact = copyText(at + itemHeaderSize, length);
        if (tag == tagEnvironment) {
            char* variable = copyText(at + itemHeaderSize, length);
            if (strchr(variable, '=') == NULL || putenv(variable) != 0)
                leave("LOAD carries an impossible variable");
        }
        at += itemHeaderSize + length;
    }
    const size_t room = strlen(artifact) + strlen(argv[1]) + 2;
    char* program = malloc(room);
    if (program == NULL) leave("out of memory");
    snprintf(program, room, "%s/%s", artifact, argv[1]);
    execv(program, argv + 1);
    dprintf(STDERR_FILENO, "cloudfunction-stub: %s cannot be executed: %s\n", program,
            strerror(errno));
    return 113;
}
