"""A library before the C library that steps CLOCK_REALTIME, for one process alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["step_clock", "stepping_clock"]

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Seconds to add, as text in the file that STEP names; read anew at each call. */
static long step(void) {
    char text[32] = {0};
    const char *path = getenv("STEP");
    int fd = path ? (int) syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
    close(fd);
    return atol(text);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, now);
    if (which == CLOCK_REALTIME && result == 0) now->tv_sec += step();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = (int (*)(struct timeval *, void *)) dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(now, zone);
    if (result == 0) now->tv_sec += step();
    return result;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
"""


def stepping_clock(directory: Path) -> tuple[Path | None, Path]:
    """Build the library, for LD_PRELOAD, and make the file that STEP names.

    None instead of the library where there is no C compiler, or no Linux.
    """
    step = directory / "step"
    step_clock(step, 0)
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None, step
    source, library = directory / "step.c", directory / "step.so"
    source.write_text(SHIM)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60
    )
    return library, step


def step_clock(step: Path, seconds: int) -> None:
    """Set the clock of the processes that look at ``step``: so many seconds later than it is."""
    new = step.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(step)
