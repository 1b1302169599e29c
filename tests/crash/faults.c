/* Preloaded into the platform by the tests: writes that fail or hang and a clock that jumps, as a page of memory shared
 * with the test says. Only files whose path ends in one of FAULTS_FILES (separated by ':') are touched; one that ends in
 * '/' stands for all that lies in such a folder. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    int32_t armed;    /* 1: count and fail */
    int32_t skip;     /* writes that still succeed */
    int32_t error;    /* errno of those that fail; 0: they wait until this is not armed any more */
    int32_t sticky;   /* 1: every one after the first fails, too */
    int32_t hits;     /* how many failed */
    int32_t clock;    /* seconds that the wall clock is off */
};

static struct control *control;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CONTROL");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) control = page;
}

static int isNamed(const char *path) {
    const size_t size = strlen(path);
    const char *names = getenv("FAULTS_FILES");
    while (names != NULL && *names != '\0') {
        const size_t length = strcspn(names, ":");
        if (names[length - 1] == '/' ? memmem(path, size, names, length) != NULL
                                     : size >= length && strncmp(path + size - length, names, length) == 0)
            return 1;
        names += length + (names[length] == ':');
    }
    return 0;
}

static int failsAt(const char *path) {
    if (control == NULL || !control->armed || !isNamed(path)) return 0;
    if (__atomic_sub_fetch(&control->skip, 1, __ATOMIC_SEQ_CST) >= 0) return 0;
    __atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
    const int error = control->error;
    while (error == 0 && *(volatile int32_t *)&control->armed) usleep(1000);
    if (!control->sticky) control->armed = 0;
    errno = error;
    return error != 0;
}

static int fails(int fd) {
    if (control == NULL || !control->armed) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return 0;
    path[size] = '\0';
    return failsAt(path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) { return fails(fd) ? -1 : NEXT(write)(fd, data, size); }
ssize_t writev(int fd, const struct iovec *parts, int count) { return fails(fd) ? -1 : NEXT(writev)(fd, parts, count); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return fails(fd) ? -1 : NEXT(pwrite)(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return fails(fd) ? -1 : NEXT(pwrite64)(fd, data, size, at); }
int fsync(int fd) { return fails(fd) ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return fails(fd) ? -1 : NEXT(fdatasync)(fd); }
int syncfs(int fd) { return fails(fd) ? -1 : NEXT(syncfs)(fd); }
int ftruncate64(int fd, off64_t size) { return fails(fd) ? -1 : NEXT(ftruncate64)(fd, size); }
int mkdir(const char *path, mode_t mode) { return failsAt(path) ? -1 : NEXT(mkdir)(path, mode); }
int rename(const char *from, const char *to) { return failsAt(to) ? -1 : NEXT(rename)(from, to); }

/* As files of any size are opened; opening one that is there is no write. */
int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return (flags & O_CREAT) != 0 && failsAt(path) ? -1 : NEXT(open64)(path, flags, mode);
}

/* By the call itself: memory allocators ask for the time, and dlsym allocates memory. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    const long done = syscall(SYS_clock_gettime, clock, now);
    if (done == 0 && control != NULL && clock == CLOCK_REALTIME) now->tv_sec += control->clock;
    return (int)done;
}
