// Barriers.
#pragma once
#include "math.h"
#ifndef MSL_CHECK
#include "runtime.h"
// Where in the source a call stands, for messages.
#define MSL_HERE const char *msl_file = __builtin_FILE(), unsigned msl_line = __builtin_LINE()
#define MSL_AND_HERE , MSL_HERE
#define MSL_PASS_HERE , msl_file, msl_line
#else
#define MSL_HERE
#define MSL_AND_HERE
#define MSL_PASS_HERE
#endif

namespace metal {
enum class mem_flags : uint { mem_none = 0, mem_device = 1, mem_threadgroup = 2, mem_texture = 4 };
constexpr mem_flags operator|(mem_flags a, mem_flags b) { return (mem_flags)((uint)a | (uint)b); }
constexpr mem_flags operator&(mem_flags a, mem_flags b) { return (mem_flags)((uint)a & (uint)b); }
// Metal 3 has no other; a fence between threadgroups cannot be had.
enum memory_order { memory_order_relaxed = 0 };

METAL_FUNC void threadgroup_barrier(mem_flags flags MSL_AND_HERE) MSL_BODY(msl_barrier(false, (uint)flags, msl_file, msl_line);)
METAL_FUNC void simdgroup_barrier(mem_flags flags MSL_AND_HERE) MSL_BODY(msl_barrier(true, (uint)flags, msl_file, msl_line);)
} // namespace metal
