// Threads take turns, so that plain operations are atomic ones; what is left to do is to say that they were meant so, and to let
// others have their turn.
#pragma once
#include "fibers.h"
#include "trace.h"

template <class T> static T combine(unsigned operation, T old, T v) {
    switch (operation) {
    case MSL_LOAD: return old;
    case MSL_FETCH_ADD: return (T)(old + v);
    case MSL_FETCH_SUB: return (T)(old - v);
    case MSL_FETCH_MIN: return v < old ? v : old;
    case MSL_FETCH_MAX: return old < v ? v : old;
    default: return v; // stored or exchanged
    }
}

extern "C" bool msl_atomic(unsigned operation, unsigned type, void* object, void* value, void* expected) {
    void* pc = __builtin_return_address(0);
    (void)pc;
    if ((uintptr_t)object % 4) msl_fail("an atomic at an address that is not a multiple of 4");
#ifdef MSL_BOUNDS
    if (void* bad = __asan_region_is_poisoned(object, 4)) msl_fail("an atomic touches %s", describe((char*)bad).c_str());
#endif
#ifdef MSL_TRACED
    if (operation != MSL_STORE) touch((char*)object, 4, false, true, pc);
    if (operation != MSL_LOAD) touch((char*)object, 4, true, true, pc);
#endif
    // Between a load and the store that follows it another thread may come: what is not one operation gets lost.
    if (job.schedule == RANDOM && random_bits() % 2) yield_fiber();
    uint32_t old, v, result;
    memcpy(&old, object, 4);
    memcpy(&v, value, 4);
    bool held = true;
    if (operation == MSL_COMPARE) {
        // May fail for no reason on a GPU; a loop around it is needed anyway.
        static unsigned calls;
        held = memcmp(expected, &old, 4) == 0 && (job.schedule != RANDOM || ++calls % 5);
        memcpy(expected, &old, 4);
        result = held ? v : old;
    } else if (operation == MSL_FETCH_AND || operation == MSL_FETCH_OR || operation == MSL_FETCH_XOR) {
        result = operation == MSL_FETCH_AND ? old & v : operation == MSL_FETCH_OR ? old | v : old ^ v;
    } else if (type == 1) {
        float a, b;
        memcpy(&a, &old, 4);
        memcpy(&b, &v, 4);
        a = combine<float>(operation, a, b);
        memcpy(&result, &a, 4);
    } else if (type == 4) {
        result = (uint32_t)combine<int32_t>(operation, (int32_t)old, (int32_t)v);
    } else {
        result = combine<uint32_t>(operation, old, v);
    }
    if (operation != MSL_LOAD && (operation != MSL_COMPARE || held)) memcpy(object, &result, 4);
    memcpy(value, &old, 4);
    return held;
}
