// Device buffers: each ends at a page that nobody may touch, those that the kernel may only read cannot be written.
#pragma once
#include "state.h"

static char *region_start, *region_end;

static void make_buffers(const std::vector<std::vector<char>>& contents) {
    uint64_t total = PAGE;
    for (size_t i = 0; i < buffers.size(); i++) total += (buffers[i].bytes + PAGE - 1) / PAGE * PAGE + PAGE;
    region_start = (char*)mmap(nullptr, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region_start == MAP_FAILED) msl_fail("no memory for %lu bytes of buffers", (unsigned long)total);
    region_end = region_start + total;
#ifdef MSL_BOUNDS
    __asan_poison_memory_region(region_start, total);
#endif
    char* at = region_start + PAGE;
    for (size_t i = 0; i < buffers.size(); i++) {
        Buffer& b = buffers[i];
        if (!b.bound) continue;
        const uint64_t pages = (b.bytes + PAGE - 1) / PAGE * PAGE;
        mprotect(at, pages, PROT_READ | PROT_WRITE);
        // Whole vectors must be aligned, so up to 15 bytes lie between the end and the page behind it.
        b.start = at + pages - (b.bytes + 15) / 16 * 16;
#ifdef MSL_BOUNDS
        __asan_unpoison_memory_region(b.start, b.bytes);
#endif
        memcpy(b.start, contents[i].data(), b.bytes);
        if (!b.writable) mprotect(at, pages, PROT_READ);
        at += pages + PAGE;
    }
}

static std::string buffer_name(size_t slot) {
    std::string name = "buffer " + std::to_string(slot);
    if (buffers[slot].name) name += std::string(" (`") + buffers[slot].name + "`)";
    return name;
}

// What lies at an address that should not have been touched, in words.
static std::string describe(const char* address) {
    if (stacks_start && address >= stacks_start - 16 * STACK && address < stacks_start + fibers.size() * (STACK + PAGE))
        return "a stack: too many or too large variables in a thread";
    if (address < region_start || address >= region_end) {
        for (const Variable& v : variables) {
            const long past = address - (v.start + v.bytes), before = v.start - address;
            if (past >= 0 && past < 64) return "threadgroup variable `" + std::string(v.name) + "` (" + std::to_string(v.bytes) + " bytes), " + std::to_string(past) + " bytes past its end";
            if (before > 0 && before <= 32) return "threadgroup variable `" + std::string(v.name) + "`, " + std::to_string(before) + " bytes before its start";
        }
        return "memory that is none of its buffers or variables";
    }
    for (size_t i = 0; i < buffers.size(); i++) {
        const Buffer& b = buffers[i];
        if (b.bound && address >= b.start && address < b.start + b.bytes)
            return buffer_name(i) + (b.writable ? " (" + std::to_string(b.bytes) + " bytes), across its end" : ", which it may only read, to write it");
    }
    std::string nearest;
    long distance = -1;
    for (size_t i = 0; i < buffers.size(); i++) {
        const Buffer& b = buffers[i];
        if (!b.bound) continue;
        const long past = address - (b.start + b.bytes), before = b.start - address;
        const long gap = past >= 0 ? past : before;
        if (distance < 0 || gap < distance) {
            distance = gap;
            nearest = buffer_name(i) + " (" + std::to_string(b.bytes) + " bytes), " + (past >= 0 ? std::to_string(past) + " bytes past its end" : std::to_string(before) + " bytes before its start");
        }
    }
    return nearest;
}

static void on_fault(int signal, siginfo_t* info, void* context) {
    const ucontext_t* u = (const ucontext_t*)context;
#if defined(__x86_64__)
    void* pc = (void*)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    void* pc = (void*)u->uc_mcontext.pc;
#else
    void* pc = nullptr;
    (void)u;
#endif
    if (signal == SIGALRM) {
        fprintf(stderr, "msl: did not finish within %u s\n", job.seconds);
    } else if (signal == SIGFPE) {
        fprintf(stderr, "msl: divides an integer by zero\n");
    } else if (signal == SIGSEGV && info->si_addr == nullptr) {
        // Vector instructions on addresses that are not aligned end here, too.
        fprintf(stderr, "msl: touches a null pointer, or a vector at an address that is not aligned to it\n");
    } else if (signal == SIGSEGV || signal == SIGBUS) {
        fprintf(stderr, "msl: touches %s\n", describe((const char*)info->si_addr).c_str());
    } else {
        fprintf(stderr, "msl: stopped by signal %d\n", signal);
    }
    // As if it were behind a call, where all other places are.
    say_where((char*)pc + 1);
    stop_here();
}

static void catch_signals() {
    static char other_stack[64 * 1024];
    stack_t stack = {};
    stack.ss_sp = other_stack;
    stack.ss_size = sizeof other_stack;
    sigaltstack(&stack, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGALRM}) sigaction(signal, &action, nullptr);
    alarm(job.seconds);
}

#ifdef MSL_BOUNDS
extern "C" const char* __asan_default_options() {
    return "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0:detect_stack_use_after_return=0:"
           "symbolize=0:exitcode=70:halt_on_error=1:use_sigaltstack=0";
}
extern "C" const char* __ubsan_default_options() { return "print_stacktrace=0:symbolize=0:halt_on_error=1:exitcode=70"; }

static void on_death() {
    if (__asan_report_present()) {
        const char* kind = __asan_get_report_description();
        const char* address = (const char*)__asan_get_report_address();
        const bool ours = address >= region_start && address < region_end;
        std::string what = ours ? describe(address) : std::string(kind) + ": " + describe(address);
        fprintf(stderr, "msl: %s %lu bytes of %s\n", __asan_get_report_access_type() ? "writes" : "reads", (unsigned long)__asan_get_report_access_size(), what.c_str());
        say_where(__asan_get_report_pc());
    } else {
        say_where(nullptr);
    }
    stop_here();
}
#endif
