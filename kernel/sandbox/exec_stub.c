/* What waits in a prewarmed sandbox for a compiled artifact: says HELLO, looks at LOAD without
 * taking it, and becomes the artifact, which then reads LOAD itself. Frames: docs/worker-protocol.md.
 * Without libc, whose start asks the processor many times what it can do; on virtual machines each
 * question goes to the hypervisor, together longer than everything else here
 * (docs/decisions/start-costs.md). Nothing is allocated: what LOAD needs lies in memory that Linux
 * gives when it is touched. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>

#include "exec_stub_calls.h"

enum { workerSocket = 3, standardError = 2, headerSize = 16, itemHeaderSize = 8 };
enum { frameHello = 1, frameLoad = 2, frameStop = 18 };
enum { tagVersion = 1, tagLanguage = 2, tagConcurrency = 3, tagArtifact = 4, tagEnvironment = 6 };
/* What the socket's buffer surely holds as a whole; LOAD carries the environment and names, no
 * code. */
enum { maxLoad = 512 * 1024, maxVariables = 64 * 1024, maxProgram = 4096 };

static unsigned char frame[headerSize + maxLoad];
/* Every text of LOAD with a NUL behind it, for which its item's header leaves room. */
static char texts[maxLoad];
static size_t textsUsed;
static char* environment[maxVariables + 1];
static size_t variables;
static char program[maxProgram];

static size_t lengthOf(const char* text) {
    size_t length = 0;
    while (text[length] != 0) ++length;
    return length;
}

static void say(const char* text) {
    callWrite(standardError, text, lengthOf(text));
}

static void leave(const char* what) {
    say("cloudfunction-stub: ");
    say(what);
    say("\n");
    callExit(112);
}

static unsigned char* copy(unsigned char* to, const void* from, size_t size) {
    const unsigned char* bytes = from;
    for (size_t i = 0; i < size; ++i) to[i] = bytes[i];
    return to + size;
}

static uint16_t get16(const unsigned char* at) {
    uint16_t value;
    copy((unsigned char*)&value, at, sizeof value);
    return value;
}
static uint32_t get32(const unsigned char* at) {
    uint32_t value;
    copy((unsigned char*)&value, at, sizeof value);
    return value;
}

static unsigned char* putItem(unsigned char* at, uint16_t tag, const void* value, uint32_t size) {
    const uint16_t nothing = 0;
    at = copy(at, &tag, sizeof tag);
    at = copy(at, &nothing, sizeof nothing);
    at = copy(at, &size, sizeof size);
    return copy(at, value, size);
}

static void sayHello(void) {
    static const char language[] = "compiled";
    const uint64_t one = 1;
    unsigned char* end = frame + headerSize;
    end = putItem(end, tagVersion, &one, sizeof one);
    end = putItem(end, tagLanguage, language, sizeof language - 1);
    end = putItem(end, tagConcurrency, &one, sizeof one);
    const uint32_t size = (uint32_t)(end - frame) - headerSize;
    copy(frame, &size, sizeof size);
    frame[4] = frameHello;
    const long whole = end - frame;
    if (callSend(workerSocket, frame, (size_t)whole, MSG_NOSIGNAL) != whole) callExit(0);
}

/* Looks at `size` bytes, waiting until they are there. Leaves when the kernel's end closes. */
static void peek(size_t size) {
    for (;;) {
        struct pollfd ready = {workerSocket, POLLIN, 0};
        const long polled = callPoll(&ready, 0);
        if (polled < 0 && polled != -EINTR) leave("poll failed");
        const long got = callPeek(workerSocket, frame, size);
        if (got == 0) callExit(0);
        if (got == (long)size) return;
        if (got < 0 && got != -EINTR && got != -EAGAIN) callExit(0);
        /* The rest is on its way; poll would not wait for it. */
        callPoll(0, 100 * 1000);
    }
}

static char* copyText(const unsigned char* value, uint32_t size) {
    char* const text = texts + textsUsed;
    for (uint32_t i = 0; i < size; ++i)
        if (value[i] == 0) leave("LOAD carries an impossible text");
    copy((unsigned char*)text, value, size);
    textsUsed += (size_t)size + 1;
    return text;
}

/* True when both set the same variable. */
static int sameName(const char* one, const char* other) {
    while (*one != 0 && *one != '=' && *one == *other) ++one, ++other;
    return *one == '=' && *other == '=';
}

static void setVariable(char* variable) {
    size_t at = 0;
    while (variable[at] != 0 && variable[at] != '=') ++at;
    if (variable[at] == 0 || at == 0) leave("LOAD carries an impossible variable");
    for (size_t i = 0; i < variables; ++i)
        if (sameName(environment[i], variable)) {
            environment[i] = variable;
            return;
        }
    if (variables == maxVariables) leave("LOAD carries too many variables");
    environment[variables++] = variable;
}

/* The program at `name` inside `artifact`. */
static void joinPath(const char* artifact, const char* name) {
    const size_t first = lengthOf(artifact), second = lengthOf(name);
    if (first + second + 2 > sizeof program) leave("the artifact's path is too long");
    unsigned char* end = copy((unsigned char*)program, artifact, first);
    *end++ = '/';
    copy(end, name, second + 1);
}

int runStub(int argc, char** argv, char** given) {
    if (argc < 2) leave("it is started by the platform, not by hand");
    for (; *given != 0 && variables < maxVariables; ++given) environment[variables++] = *given;
    sayHello();
    peek(headerSize);
    if (frame[4] == frameStop) return 0;
    const uint32_t size = get32(frame);
    if (frame[4] != frameLoad || size > maxLoad)
        leave("the first frame is not a LOAD of reasonable size");
    peek(headerSize + (size_t)size);

    const char* artifact = "/function";
    const unsigned char* at = frame + headerSize;
    const unsigned char* const end = at + size;
    while (at < end) {
        if (end - at < itemHeaderSize || get32(at + 4) > (uint32_t)(end - at - itemHeaderSize))
            leave("LOAD is malformed");
        const uint16_t tag = get16(at);
        const uint32_t length = get32(at + 4);
        if (tag == tagArtifact) artifact = copyText(at + itemHeaderSize, length);
        if (tag == tagEnvironment) setVariable(copyText(at + itemHeaderSize, length));
        at += itemHeaderSize + length;
    }
    joinPath(artifact, argv[1]);
    callExecute(program, argv + 1, environment);
    say("cloudfunction-stub: the artifact's program cannot be executed: ");
    say(program);
    say("\n");
    return 113;
}
