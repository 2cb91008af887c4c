// Runs one dispatch of a kernel. Arguments: the kernel's shared object. The job comes on standard input, what the buffers hold
// afterwards goes to standard output, what went wrong to standard error.
#include "state.h"
#include "memory.h"
#include "fibers.h"
#include "together.h"
#include "trace.h"
#include "atomics.h"
#include "schedule.h"

// Met by the first thread that comes to its declaration. What nothing has written is NaN, and not what the last threadgroup left.
extern "C" void msl_threadgroup_variable(void* start, unsigned long bytes, const char* name) {
    Variable* known = nullptr;
    for (Variable& v : variables)
        if (v.start == start) known = &v;
    if (!known) {
        variables.push_back({(char*)start, bytes, name, 0});
        known = &variables.back();
    }
    if (known->group == group_number + 1) return;
    known->group = group_number + 1;
    memset(start, 0xFF, bytes);
}

// Of compiler-rt and new libgcc; old ones lack it. Rounds to nearest, ties to even.
extern "C" __attribute__((weak)) __bf16 __truncsfbf2(float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    const uint16_t half = (bits & 0x7FFFFFFF) > 0x7F800000 ? (bits >> 16) | 0x40 : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    __bf16 result;
    memcpy(&result, &half, 2);
    return result;
}

// --- the job ---

static void read_exactly(void* to, size_t bytes) {
    for (char* at = (char*)to; bytes;) {
        const ssize_t n = read(0, at, bytes);
        if (n <= 0) msl_fail("the job ends too early");
        at += n;
        bytes -= n;
    }
}
static uint64_t read_word() {
    uint64_t v;
    read_exactly(&v, 8);
    return v;
}
static void write_exactly(const void* from, size_t bytes) {
    for (const char* at = (const char*)from; bytes;) {
        const ssize_t n = write(1, at, bytes);
        if (n <= 0) _exit(71);
        at += n;
        bytes -= n;
    }
}
static void write_word(uint64_t v) { write_exactly(&v, 8); }

static std::vector<std::vector<char>> read_job() {
    job.entry.resize(read_word());
    read_exactly(&job.entry[0], job.entry.size());
    for (uint32_t& v : job.groups) v = read_word();
    for (uint32_t& v : job.threads) v = read_word();
    job.schedule = (Schedule)read_word();
    job.seed = read_word();
    job.seconds = read_word();
    job.races = read_word();
    job.loads = read_word();
    buffers.resize(read_word());
    std::vector<std::vector<char>> contents(buffers.size());
    for (size_t i = 0; i < buffers.size(); i++) {
        buffers[i].writable = read_word();
        buffers[i].bytes = read_word();
        buffers[i].bound = buffers[i].bytes != 0;
        contents[i].resize(buffers[i].bytes);
        read_exactly(contents[i].data(), buffers[i].bytes);
    }
    return contents;
}

static const msl_kernel& find_kernel(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) msl_fail("%s", dlerror());
    const msl_module* module = (const msl_module*)dlsym(library, "msl_the_module");
    Dl_info info;
    if (!module || !dladdr(module, &info)) msl_fail("%s holds no kernels", path);
    module_base = (char*)info.dli_fbase;
    for (unsigned i = 0; i < module->count; i++)
        if (job.entry == module->kernels[i].name) return module->kernels[i];
    msl_fail("no kernel is called `%s`", job.entry.c_str());
}

static void bind(const msl_kernel& kernel) {
    for (unsigned i = 0; i < kernel.buffer_count; i++) {
        const msl_parameter& p = kernel.buffers[i];
        if (p.slot >= buffers.size() || !buffers[p.slot].bound) msl_fail("nothing is bound to buffer %u (`%s`)", p.slot, p.name);
        Buffer& b = buffers[p.slot];
        b.name = p.name;
        if (b.bytes < p.least) msl_fail("buffer %u (`%s`) has %lu bytes, its type needs %lu", p.slot, p.name, (unsigned long)b.bytes, p.least);
    }
    for (size_t i = 0; i < buffers.size(); i++) {
        kernel_arguments.buffer[i] = buffers[i].start;
        kernel_arguments.length[i] = buffers[i].bytes;
    }
}

static void place_threads(uint64_t group) {
    const uint32_t* g = job.groups;
    const unsigned count = fibers.size();
    for (unsigned i = 0; i < count; i++) {
        msl_thread& t = fibers[i].thread;
        t.index = i;
        t.lane = i % 32;
        t.simdgroup = i / 32;
        t.simdgroups = (count + 31) / 32;
        const unsigned at[3] = {i % job.threads[0], i / job.threads[0] % job.threads[1], i / job.threads[0] / job.threads[1]};
        const unsigned of[3] = {unsigned(group % g[0]), unsigned(group / g[0] % g[1]), unsigned(group / g[0] / g[1])};
        memcpy(t.position, at, sizeof at);
        memcpy(t.group, of, sizeof of);
        memcpy(t.threads, job.threads, sizeof t.threads);
        memcpy(t.groups, job.groups, sizeof t.groups);
    }
}

int main(int, char** arguments) {
    const std::vector<std::vector<char>> contents = read_job();
    catch_signals();
#ifdef MSL_BOUNDS
    __sanitizer_set_death_callback(on_death);
#endif
    make_buffers(contents);
    const msl_kernel& kernel = find_kernel(arguments[1]);
    bind(kernel);
    const uint64_t threads = (uint64_t)job.threads[0] * job.threads[1] * job.threads[2];
    if (threads == 0 || threads > 1024) msl_fail("a threadgroup of %lu threads; 1 to 1024 are possible", (unsigned long)threads);
    if (kernel.max_threads && threads > kernel.max_threads) msl_fail("a threadgroup of %lu threads, but max_total_threads_per_threadgroup is %u", (unsigned long)threads, kernel.max_threads);
    kernel_entry = kernel.run;
    variables.reserve(256);
    make_fibers(threads);
    start_tracing();
    std::vector<uint32_t> order;
    fill_order(order, (uint64_t)job.groups[0] * job.groups[1] * job.groups[2]);
    for (uint32_t group : order) {
        group_number = group;
        place_threads(group);
        run_threadgroup();
    }
    for (const Buffer& b : buffers)
        if (b.writable) write_exactly(b.start, b.bytes);
    for (const Counts& c : counts) {
        uint64_t distinct = 0;
        for (uint8_t bits : c.touched) distinct += __builtin_popcount(bits);
        write_word(c.loaded);
        write_word(distinct);
        write_word(c.stored);
        for (uint64_t v : c.groups) write_word(v);
    }
    _exit(0);
}
