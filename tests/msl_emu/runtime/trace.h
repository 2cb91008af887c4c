// Answers the calls that a traced kernel makes before every access to memory.
//
// Races: two accesses of different threads to one byte, one of them a write, not both atomic, are a race unless a barrier lies
// between: a threadgroup_barrier for threads of one threadgroup, a simdgroup_barrier for lanes of one simdgroup, each for the kind of
// memory that its flags name. Nothing orders threadgroups. The answer does not depend on the schedule.
#pragma once
#include "memory.h"

struct Access {
    uint32_t group;  // 1 + number of the threadgroup, 0 for none
    uint32_t epoch;  // threadgroup_barriers passed
    uint32_t simd;   // simdgroup_barriers passed
    uint32_t pc;
    uint16_t thread;
    uint8_t atomic;
    uint8_t many; // further threads that no barrier parts from this one: 1 of the simdgroup, 2 of the threadgroup, 4 of others
};
struct Cell {
    Access write, read;
};

enum Space { DEVICE, SHARED };
static uint32_t epochs[2], simd_epochs[2][32];

struct Counts {
    uint64_t loaded = 0, stored = 0;
    std::vector<uint64_t> groups;
    std::vector<uint8_t> touched; // a bit per byte
};
static std::vector<Counts> counts;

static Cell* device_cells;
struct SharedCells {
    Cell* cells;
    uint32_t* written; // by byte: group that wrote it last
};
static std::vector<SharedCells> shared_cells;

static void* zeroed(uint64_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) msl_fail("no memory to trace %lu bytes", (unsigned long)bytes);
    return memory;
}

static void start_tracing() {
    if (job.races) device_cells = (Cell*)zeroed((region_end - region_start) * sizeof(Cell));
    if (!job.loads) return;
    counts.resize(buffers.size());
    for (size_t i = 0; i < buffers.size(); i++) {
        counts[i].groups.resize((uint64_t)job.groups[0] * job.groups[1] * job.groups[2]);
        counts[i].touched.resize((buffers[i].bytes + 7) / 8);
    }
}

static bool before(const Access& a, const Access& now) {
    if (a.group != now.group || a.many & 4) return false;
    if (a.epoch < now.epoch) return true;
    if (a.thread == now.thread && !a.many) return true;
    return !(a.many & 2) && a.thread / 32 == now.thread / 32 && a.simd < now.simd;
}

// Of accesses that nothing orders, all count; of ordered ones the last is enough.
static void add(Access& known, const Access& now) {
    if (!known.group || before(known, now)) {
        known = now;
        return;
    }
    known.many |= known.group != now.group ? 4 : known.thread / 32 != now.thread / 32 ? 2 : known.thread != now.thread ? 1 : 0;
    known.atomic &= now.atomic;
    known.simd = std::max(known.simd, now.simd);
}

[[noreturn]] static void race(const Access& a, bool a_writes, const Access& now, bool writes, const std::string& name, uint64_t offset, bool shared) {
    const char* other = a.many & 4 || a.group != now.group ? "a thread of another threadgroup" : a.many ? "another thread" : nullptr;
    char one[64];
    snprintf(one, sizeof one, "thread %u of this threadgroup", a.thread);
    fprintf(stderr, "msl: race on byte %lu of %s: thread %u %s it at {pc:%x}, %s %s it at {pc:%x}, and no barrier %s lies between\n",
            (unsigned long)offset, name.c_str(), now.thread, writes ? "writes" : "reads", now.pc, other ? other : one, a_writes ? "writes" : "reads",
            a.pc, shared ? "with mem_threadgroup" : "with mem_device");
    say_where(nullptr);
    stop_here();
}

static void track(Cell* cells, uint64_t bytes, const Access& now, bool writes, const std::string& (*name)(size_t), size_t index, uint64_t offset, bool shared) {
    for (uint64_t i = 0; i < bytes; i++) {
        Cell& c = cells[i];
        // A variable's place is used again by the next threadgroup.
        if (shared && c.write.group != now.group) c.write.group = 0;
        if (shared && c.read.group != now.group) c.read.group = 0;
        if (c.write.group && !before(c.write, now) && !(c.write.atomic && now.atomic)) race(c.write, true, now, writes, name(index), offset + i, shared);
        if (writes && c.read.group && !before(c.read, now) && !(c.read.atomic && now.atomic)) race(c.read, false, now, writes, name(index), offset + i, shared);
        if (writes) {
            add(c.write, now);
            if (!now.atomic) c.read.group = 0;
        } else {
            add(c.read, now);
        }
    }
}

static const std::string& name_of_buffer(size_t index) {
    static std::string name;
    return name = buffer_name(index);
}
static const std::string& name_of_variable(size_t index) {
    static std::string name;
    return name = "threadgroup variable `" + std::string(variables[index].name) + "`";
}

static Access access_now(Space space, bool atomic, void* pc) {
    const msl_thread& t = current->thread;
    return {uint32_t(group_number + 1), epochs[space], simd_epochs[space][t.simdgroup], (uint32_t)place(pc), (uint16_t)t.index, atomic, 0};
}

static void touch_buffer(size_t index, char* address, uint64_t bytes, bool writes, bool atomic, void* pc) {
    Buffer& b = buffers[index];
    const uint64_t offset = address - b.start;
    if (job.loads) {
        Counts& c = counts[index];
        if (writes) {
            c.stored += bytes;
        } else {
            c.loaded += bytes;
            c.groups[group_number] += bytes;
            for (uint64_t i = offset; i < offset + bytes; i++) c.touched[i / 8] |= 1 << i % 8;
        }
    }
    if (job.races && b.writable) track(device_cells + (address - region_start), bytes, access_now(DEVICE, atomic, pc), writes, name_of_buffer, index, offset, false);
}

static void touch_variable(size_t index, char* address, uint64_t bytes, bool writes, bool atomic, void* pc) {
    if (!job.races) return;
    const Variable& v = variables[index];
    const uint64_t offset = address - v.start;
    if (shared_cells.size() < variables.size()) shared_cells.resize(variables.size());
    SharedCells& s = shared_cells[index];
    if (!s.cells) {
        s.cells = (Cell*)zeroed(v.bytes * sizeof(Cell));
        s.written = (uint32_t*)zeroed(v.bytes * sizeof(uint32_t));
    }
    const uint32_t group = group_number + 1;
    for (uint64_t i = offset; i < offset + bytes; i++) {
        if (!writes && s.written[i] != group) {
            fprintf(stderr, "msl: reads byte %lu of threadgroup variable `%s`, which nothing has written in this threadgroup\n", (unsigned long)i, v.name);
            say_where(pc);
            stop_here();
        }
        if (writes) s.written[i] = group;
    }
    track(s.cells + offset, bytes, access_now(SHARED, atomic, pc), writes, name_of_variable, index, offset, true);
}

static void touch(char* address, uint64_t bytes, bool writes, bool atomic, void* pc) {
    if (!current || !bytes) return;
    if (address >= region_start && address < region_end) {
        for (size_t i = 0; i < buffers.size(); i++) {
            const Buffer& b = buffers[i];
            if (!b.bound || address < b.start || address >= b.start + b.bytes) continue;
            if (address + bytes > b.start + b.bytes) {
                address = b.start + b.bytes;
                break;
            }
            if (writes && !b.writable) break;
            return touch_buffer(i, address, bytes, writes, atomic, pc);
        }
        fprintf(stderr, "msl: %s %lu bytes of %s\n", writes ? "writes" : "reads", (unsigned long)bytes, describe(address).c_str());
        say_where(pc);
        stop_here();
    }
    for (size_t i = 0; i < variables.size(); i++) {
        const Variable& v = variables[i];
        if (address >= v.start && address + bytes <= v.start + v.bytes) return touch_variable(i, address, bytes, writes, atomic, pc);
    }
    // What is left lies on a thread's own stack or among constants; the bounds layer judges those.
}

#ifdef MSL_TRACED
// The compiler's names for "before an access to so many bytes".
#define MSL_HOOK(N)                                                                                                            \
    extern "C" void __asan_load##N##_noabort(void* p) { touch((char*)p, N, false, false, __builtin_return_address(0)); }        \
    extern "C" void __asan_store##N##_noabort(void* p) { touch((char*)p, N, true, false, __builtin_return_address(0)); }
MSL_HOOK(1) MSL_HOOK(2) MSL_HOOK(4) MSL_HOOK(8) MSL_HOOK(16)
extern "C" void __asan_loadN_noabort(void* p, size_t n) { touch((char*)p, n, false, false, __builtin_return_address(0)); }
extern "C" void __asan_storeN_noabort(void* p, size_t n) { touch((char*)p, n, true, false, __builtin_return_address(0)); }
extern "C" void* __asan_memcpy(void* to, const void* from, size_t n) {
    touch((char*)from, n, false, false, __builtin_return_address(0));
    touch((char*)to, n, true, false, __builtin_return_address(0));
    return memcpy(to, from, n);
}
extern "C" void* __asan_memmove(void* to, const void* from, size_t n) {
    touch((char*)from, n, false, false, __builtin_return_address(0));
    touch((char*)to, n, true, false, __builtin_return_address(0));
    return memmove(to, from, n);
}
extern "C" void* __asan_memset(void* to, int value, size_t n) {
    touch((char*)to, n, true, false, __builtin_return_address(0));
    return memset(to, value, n);
}
extern "C" void __asan_handle_no_return() {}
#endif
