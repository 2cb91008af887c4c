// What a kernel built for this machine asks of the runtime, and how the runtime finds the kernel. No namespaces, no headers: both
// sides include it.
#pragma once

extern "C" {
// One thread of the grid, as its built-in parameters see it.
struct msl_thread {
    unsigned position[3]; // in its threadgroup
    unsigned group[3];    // of its threadgroup in the grid
    unsigned threads[3];  // of a threadgroup
    unsigned groups[3];   // of the grid
    unsigned index, lane, simdgroup, simdgroups;
};
extern msl_thread* msl_current;

struct msl_arguments {
    void* buffer[31];
    unsigned long length[31];
};
struct msl_parameter {
    unsigned slot;
    const char* name;
    unsigned long least; // bytes that a reference needs
};
struct msl_kernel {
    const char* name;
    void (*run)(const msl_arguments*);
    unsigned max_threads; // 0 where the source does not say
    const msl_parameter* buffers;
    unsigned buffer_count;
};
struct msl_module {
    const msl_kernel* kernels;
    unsigned count;
};

// What all lanes of a simdgroup do together.
enum msl_operation {
    MSL_SUM, MSL_PRODUCT, MSL_MIN, MSL_MAX, MSL_AND, MSL_OR, MSL_XOR,
    MSL_INCLUSIVE_SUM, MSL_EXCLUSIVE_SUM, MSL_INCLUSIVE_PRODUCT, MSL_EXCLUSIVE_PRODUCT,
    MSL_SHUFFLE, MSL_SHUFFLE_XOR, MSL_SHUFFLE_UP, MSL_SHUFFLE_DOWN, MSL_ROTATE_UP, MSL_ROTATE_DOWN,
    MSL_BROADCAST, MSL_BROADCAST_FIRST, MSL_BALLOT,
    MSL_MULTIPLY, // of 8×8 matrices
    MSL_AGREE,    // nothing but a check that all lanes brought the same
};
struct msl_call {
    const char* name; // as in the source: `simd_sum`
    const char* file;
    unsigned line;
    unsigned operation;
    unsigned group;    // 32, or 4 for quads
    unsigned type;     // code of the element
    unsigned count;    // elements of the value, or bytes of it where the type does not matter
    unsigned argument; // lane, distance or mask
};
// Calls are neither moved into branches nor merged out of them: the place of a call is part of what must be the same for all lanes.
#define MSL_MEETING __attribute__((convergent, nomerge))
// `value` is both what this lane brings and what it gets: at most 32 bytes.
MSL_MEETING void msl_together(const msl_call* call, void* value);
MSL_MEETING void msl_barrier(bool simdgroup, unsigned flags, const char* file, unsigned line);

enum msl_atomic_operation {
    MSL_LOAD, MSL_STORE, MSL_EXCHANGE, MSL_COMPARE, MSL_FETCH_ADD, MSL_FETCH_SUB, MSL_FETCH_AND, MSL_FETCH_OR, MSL_FETCH_XOR,
    MSL_FETCH_MIN, MSL_FETCH_MAX,
};
// Applies an operation to `size` bytes at `object`; gives the old value in `value`, and whether a comparison held.
bool msl_atomic(unsigned operation, unsigned type, void* object, void* value, void* expected);

void msl_threadgroup_variable(void* start, unsigned long bytes, const char* name);
[[noreturn]] void msl_fail(const char* format, ...);
}
