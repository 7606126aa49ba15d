/* Loaded before the C library: has the n-th write, truncation, fsync or rename below a folder fail.

   cc -shared -fPIC -o fail_writes.so fail_writes.c -ldl; LD_PRELOAD=fail_writes.so python …
   arm(folder, n, full): from then on operations are counted; the n-th fails with EIO, or, with full, it and every
   later write with ENOSPC, as on a disk that stays full. n = 0 counts only. meet(ask): ask(number) is called before
   each operation; where it says 1, this is the one that fails. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static long count, fail_at;
static int is_full, asking;
static int (*ask)(long);

void meet(int (*asked)(long)) { ask = asked; }

void arm(const char *folder, long n, int full) {
  strncpy(root, folder, sizeof root - 1);
  count = 0;
  fail_at = n;
  is_full = full;
}
long counted(void) { return count; }

static int fails(int writes) {
  if (asking) return 0; /* what ask itself writes */
  count++;
  if (ask) {
    asking = 1;
    if (ask(count)) {
      ask = 0;
      fail_at = count;
    }
    asking = 0;
  }
  if (fail_at && (count == fail_at || (is_full && writes && count > fail_at))) {
    errno = is_full ? ENOSPC : EIO;
    return 1;
  }
  return 0;
}

static int below(const char *path) {
  char whole[PATH_MAX];
  if (!root[0]) return 0;
  if (path[0] != '/') {
    if (!getcwd(whole, sizeof whole)) return 0;
    path = whole;
  }
  return strncmp(path, root, strlen(root)) == 0;
}

static int open_below(int number) {
  char link[40], path[PATH_MAX];
  ssize_t n;
  if (!root[0] || number < 3) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", number);
  n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return below(path);
}

#define REAL(result, name, ...) \
  static result (*real)(__VA_ARGS__); \
  if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name);

ssize_t write(int number, const void *bytes, size_t n) {
  REAL(ssize_t, "write", int, const void *, size_t)
  return open_below(number) && fails(1) ? -1 : real(number, bytes, n);
}
ssize_t pwrite(int number, const void *bytes, size_t n, off_t at) {
  REAL(ssize_t, "pwrite", int, const void *, size_t, off_t)
  return open_below(number) && fails(1) ? -1 : real(number, bytes, n, at);
}
ssize_t pwrite64(int number, const void *bytes, size_t n, off64_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t)
  return open_below(number) && fails(1) ? -1 : real(number, bytes, n, at);
}
ssize_t writev(int number, const struct iovec *parts, int n) {
  REAL(ssize_t, "writev", int, const struct iovec *, int)
  return open_below(number) && fails(1) ? -1 : real(number, parts, n);
}
int ftruncate(int number, off_t size) {
  REAL(int, "ftruncate", int, off_t)
  return open_below(number) && fails(1) ? -1 : real(number, size);
}
int ftruncate64(int number, off64_t size) {
  REAL(int, "ftruncate64", int, off64_t)
  return open_below(number) && fails(1) ? -1 : real(number, size);
}
ssize_t sendfile64(int number, int from, off64_t *at, size_t n) {
  REAL(ssize_t, "sendfile64", int, int, off64_t *, size_t)
  return open_below(number) && fails(1) ? -1 : real(number, from, at, n);
}
ssize_t copy_file_range(int from, off64_t *at, int number, off64_t *to, size_t n, unsigned flags) {
  REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned)
  return open_below(number) && fails(1) ? -1 : real(from, at, number, to, n, flags);
}
int fsync(int number) {
  REAL(int, "fsync", int)
  return open_below(number) && fails(0) ? -1 : real(number);
}
int rename(const char *old, const char *new) {
  REAL(int, "rename", const char *, const char *)
  return below(new) && fails(0) ? -1 : real(old, new);
}
