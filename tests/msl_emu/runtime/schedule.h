// Runs the fibers of a threadgroup from meeting to meeting, in one of three orders.
#pragma once
#include "together.h"
#include "trace.h"

extern "C" void msl_together(const msl_call* call, void* value) {
    Fiber* f = current;
    const unsigned bytes = call->operation == MSL_MULTIPLY ? 24 : call->operation == MSL_AGREE ? call->count : call->count * element_bytes(call->type);
    memcpy(f->value, value, bytes);
    f->waiting = TOGETHER;
    f->request = call;
    f->name = call->name;
    f->file = call->file;
    f->line = call->line;
    f->call = __builtin_return_address(0);
    yield_fiber();
    memcpy(value, f->value, bytes);
}

extern "C" void msl_barrier(bool simdgroup, unsigned flags, const char* file, unsigned line) {
    Fiber* f = current;
    f->waiting = simdgroup ? SIMDGROUP_BARRIER : THREADGROUP_BARRIER;
    f->flags = flags;
    f->name = simdgroup ? "simdgroup_barrier" : "threadgroup_barrier";
    f->file = file;
    f->line = line;
    f->call = __builtin_return_address(0);
    yield_fiber();
}

static std::string whereabouts(const Fiber& f) {
    char text[256];
    if (f.waiting == RETURNED) snprintf(text, sizeof text, "thread %u has returned", f.thread.index);
    else snprintf(text, sizeof text, "thread %u is at %s in %s:%u", f.thread.index, f.name, f.file, f.line);
    return text;
}

// All of these wait for the same thing at the same place, or it is an error.
static void must_meet(Fiber* first, unsigned count, const Fiber& waits, const char* who) {
    for (unsigned i = 0; i < count; i++) {
        const Fiber& f = first[i];
        if (f.waiting == waits.waiting && f.call == waits.call && f.line == waits.line && f.flags == waits.flags && !strcmp(f.name, waits.name)) continue;
        const bool same = f.waiting == waits.waiting && f.line == waits.line && !strcmp(f.name, waits.name);
        current = nullptr;
        fprintf(stderr, "msl: %s in non-uniform control flow: all threads of a %s must reach it together, but %s and %s%s\n", waits.name, who,
                whereabouts(waits).c_str(), whereabouts(f).c_str(), same ? ", called from another place" : "");
        current = first + i;
        say_where(nullptr);
        stop_here();
    }
}

static void run_simdgroup(Fiber* lanes, unsigned count) {
    static std::vector<uint32_t> order;
    for (;;) {
        fill_order(order, count);
        for (uint32_t i : order)
            if (lanes[i].waiting == READY) resume(lanes[i]);
        const Fiber* waits = nullptr;
        bool paused = false;
        for (unsigned i = 0; i < count; i++) paused |= lanes[i].waiting == READY;
        if (paused) continue;
        for (unsigned i = 0; i < count; i++)
            if (lanes[i].waiting == TOGETHER || lanes[i].waiting == SIMDGROUP_BARRIER) waits = &lanes[i];
        if (!waits) return;
        must_meet(lanes, count, *waits, "simdgroup");
        current = lanes;
        if (waits->waiting == TOGETHER) {
            do_together(lanes, count);
        } else {
            const unsigned group = lanes[0].thread.simdgroup;
            if (waits->flags & 1) simd_epochs[DEVICE][group]++;
            if (waits->flags & 2) simd_epochs[SHARED][group]++;
        }
        current = nullptr;
        for (unsigned i = 0; i < count; i++) lanes[i].waiting = READY, lanes[i].flags = 0;
    }
}

static void run_threadgroup() {
    static std::vector<uint32_t> order;
    const unsigned count = fibers.size(), simdgroups = (count + 31) / 32;
    for (Fiber& f : fibers) {
        prepare(f, fiber_main);
        f.waiting = READY;
        f.flags = 0;
    }
    memset(epochs, 0, sizeof epochs);
    memset(simd_epochs, 0, sizeof simd_epochs);
    for (;;) {
        fill_order(order, simdgroups);
        for (uint32_t s : order) run_simdgroup(&fibers[s * 32], std::min(32u, count - s * 32));
        const Fiber* waits = nullptr;
        for (const Fiber& f : fibers)
            if (f.waiting == THREADGROUP_BARRIER) {
                waits = &f;
                break;
            }
        if (!waits) return;
        must_meet(fibers.data(), count, *waits, "threadgroup");
        if (waits->flags & 1) epochs[DEVICE]++;
        if (waits->flags & 2) epochs[SHARED]++;
        for (Fiber& f : fibers) f.waiting = READY, f.flags = 0;
    }
}
