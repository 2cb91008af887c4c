// What the parts of the runtime share. The runtime is one program per layer; a kernel is a shared object that it opens.
//
//   MSL_BOUNDS  linked with AddressSanitizer: gaps between buffers are poisoned, switches between stacks are announced
//   MSL_TRACED  answers the calls that the kernel makes before every access to memory: races, loads
#pragma once
#include "../shim/emu/runtime.h"
#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>
#ifdef MSL_BOUNDS
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

enum Schedule : uint32_t { FORWARD, REVERSE, RANDOM };

struct Job {
    std::string entry;
    uint32_t groups[3], threads[3];
    Schedule schedule;
    uint64_t seed;
    uint32_t seconds;
    bool races, loads;
};

struct Buffer {
    char* start;
    uint64_t bytes;
    bool bound, writable;
    const char* name;
};

struct Variable {
    char* start;
    uint64_t bytes;
    const char* name;
    uint32_t group; // in which it was met last, plus one
};

enum Waiting : uint8_t { READY, TOGETHER, SIMDGROUP_BARRIER, THREADGROUP_BARRIER, RETURNED };

struct Fiber {
    msl_thread thread;
    void* stack_pointer;
    char* stack;
    Waiting waiting;
    unsigned flags; // of the barrier
    const char* name;
    const char* file;
    unsigned line;
    void* call; // distinguishes two places on one line
    const msl_call* request;
    unsigned char value[32];
};

static Job job;
static std::vector<Buffer> buffers;
static std::vector<Variable> variables;
static std::vector<Fiber> fibers;
static char* stacks_start; // a page that nobody may touch below each
static Fiber* current;
static uint64_t group_number; // of the threadgroup that runs, in the grid's order
static char* module_base;

static const size_t STACK = 256 * 1024, PAGE = 4096;

// A place in the kernel's code, to be turned into file and line by whoever started this process.
static unsigned long place(const void* address) { return (unsigned long)((char*)address - module_base); }

static void say_where(const void* address) {
    if (current) {
        const msl_thread& t = current->thread;
        fprintf(stderr, "msl:   in threadgroup (%u, %u, %u), thread %u\n", t.group[0], t.group[1], t.group[2], t.index);
    }
    if (address) fprintf(stderr, "msl:   at {pc:%lx}\n", place(address));
}

[[noreturn]] static void stop_here() {
    fflush(stderr);
    _exit(70);
}

extern "C" void msl_fail(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("msl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    say_where(nullptr);
    stop_here();
}

static uint64_t random_bits() {
    uint64_t z = job.seed += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

// Numbers 0 to count - 1 in the order that the schedule takes them.
static void fill_order(std::vector<uint32_t>& order, uint32_t count) {
    order.resize(count);
    for (uint32_t i = 0; i < count; i++) order[i] = job.schedule == REVERSE ? count - 1 - i : i;
    if (job.schedule == RANDOM)
        for (uint32_t i = count; i > 1; i--) std::swap(order[i - 1], order[random_bits() % i]);
}
