/* The few system calls of the stub, with and without libc, and where it begins. Each answers as
 * Linux does: a number, or a negative errno. Without libc (CLOUDFUNCTION_FREESTANDING, set by CMake
 * where the processor is one of those below) nothing but this and exec_stub.c is in the program. */
#ifndef CLOUDFUNCTION_EXEC_STUB_CALLS_H
#define CLOUDFUNCTION_EXEC_STUB_CALLS_H

#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

/* exec_stub.c; its answer is the exit code. */
int runStub(int argc, char** argv, char** given);

#ifdef CLOUDFUNCTION_FREESTANDING

/* Where Linux starts a program the stack holds argc, argv, NULL, environment, NULL
 * (System V ABI, "Initial Stack"). */
#if defined(__x86_64__)
__asm__(
    ".globl _start\n"
    "_start:\n"
    "    xor %ebp, %ebp\n"
    "    mov %rsp, %rdi\n"
    "    and $-16, %rsp\n"
    "    call begin\n"
    "    hlt\n");

static long call(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    register long sixth __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
__asm__(
    ".globl _start\n"
    "_start:\n"
    "    mov x29, xzr\n"
    "    mov x30, xzr\n"
    "    mov x0, sp\n"
    "    and sp, x0, #-16\n"
    "    bl begin\n"
    "    brk #0\n");

static long call(long number, long a, long b, long c, long d, long e, long f) {
    register long which __asm__("x8") = number;
    register long first __asm__("x0") = a;
    register long second __asm__("x1") = b;
    register long third __asm__("x2") = c;
    register long fourth __asm__("x3") = d;
    register long fifth __asm__("x4") = e;
    register long sixth __asm__("x5") = f;
    __asm__ volatile("svc #0"
                     : "+r"(first)
                     : "r"(which), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "memory");
    return first;
}
#else
#error "CLOUDFUNCTION_FREESTANDING is for x86-64 and aarch64"
#endif

/* Compilers write calls of these themselves. */
void* memcpy(void* to, const void* from, size_t size);
void* memset(void* to, int value, size_t size);
void* memcpy(void* to, const void* from, size_t size) {
    for (size_t i = 0; i < size; ++i) ((unsigned char*)to)[i] = ((const unsigned char*)from)[i];
    return to;
}
void* memset(void* to, int value, size_t size) {
    for (size_t i = 0; i < size; ++i) ((unsigned char*)to)[i] = (unsigned char)value;
    return to;
}

#else

#include <errno.h>
#include <unistd.h>

static long call(long number, long a, long b, long c, long d, long e, long f) {
    const long result = syscall(number, a, b, c, d, e, f);
    return result < 0 ? -errno : result;
}

int main(int argc, char** argv, char** given) { return runStub(argc, argv, given); }

#endif

static void __attribute__((noreturn)) callExit(int code) {
    for (;;) call(SYS_exit_group, code, 0, 0, 0, 0, 0);
}

static long callWrite(int fd, const void* bytes, size_t size) {
    return call(SYS_write, fd, (long)bytes, (long)size, 0, 0, 0);
}

static long callSend(int socket, const void* bytes, size_t size, int flags) {
    return call(SYS_sendto, socket, (long)bytes, (long)size, flags, 0, 0);
}

/* What is there of `size` bytes; it stays there. */
static long callPeek(int socket, void* bytes, size_t size) {
    return call(SYS_recvfrom, socket, (long)bytes, (long)size, MSG_PEEK, 0, 0);
}

/* Waits for one descriptor without an end, or for none and `nanoseconds`. */
static long callPoll(struct pollfd* ready, long nanoseconds) {
    const struct timespec time = {0, nanoseconds};
    return call(SYS_ppoll, (long)ready, ready != NULL ? 1 : 0, ready != NULL ? 0 : (long)&time, 0,
                0, 0);
}

static long callExecute(const char* path, char* const* argv, char* const* variables) {
    return call(SYS_execve, (long)path, (long)argv, (long)variables, 0, 0, 0);
}

#ifdef CLOUDFUNCTION_FREESTANDING
void begin(long* stack);
void __attribute__((noreturn, used)) begin(long* stack) {
    const int argc = (int)stack[0];
    char** const argv = (char**)(stack + 1);
    callExit(runStub(argc, argv, argv + argc + 1));
}
#endif

#endif
