// Atomics, relaxed as all of Metal 3's are: they order nothing but themselves.
#pragma once
#include "matrix.h"

namespace metal {
template <class T> struct _atomic {
    T v;
};
template <class T> using atomic = _atomic<T>;
#ifdef MSL_CHECK // names that C++ for OpenCL takes for its own
#define atomic_int msl_atomic_int
#define atomic_uint msl_atomic_uint
#define atomic_float msl_atomic_float
#endif
// Complete from here on, or no kernel may have it as a parameter.
template struct _atomic<int>;
template struct _atomic<uint>;
template struct _atomic<float>;
typedef _atomic<int> atomic_int;
typedef _atomic<uint> atomic_uint;
typedef _atomic<float> atomic_float;

#ifdef MSL_CHECK
#define MSL_ATOMIC(SPACE, NUMBER, INTEGER)                                                                                    \
    template <class T> NUMBER<T> atomic_load_explicit(const volatile SPACE _atomic<T>* object, memory_order);                  \
    template <class T> void atomic_store_explicit(volatile SPACE _atomic<T>* object, typename msl_id<NUMBER<T>>::type v, memory_order); \
    template <class T> NUMBER<T> atomic_exchange_explicit(volatile SPACE _atomic<T>* object, typename msl_id<T>::type v, memory_order); \
    template <class T> bool atomic_compare_exchange_weak_explicit(volatile SPACE _atomic<T>* object, thread typename msl_id<NUMBER<T>>::type* expected, typename msl_id<T>::type v, memory_order, memory_order); \
    template <class T> NUMBER<T> atomic_fetch_add_explicit(volatile SPACE _atomic<T>* object, typename msl_id<T>::type v, memory_order); \
    template <class T> NUMBER<T> atomic_fetch_sub_explicit(volatile SPACE _atomic<T>* object, typename msl_id<T>::type v, memory_order); \
    template <class T> INTEGER<T> atomic_fetch_and_explicit(volatile SPACE _atomic<T>* object, typename msl_id<T>::type v, memory_order); \
    template <class T> INTEGER<T> atomic_fetch_or_explicit(volatile SPACE _atomic<T>* object, typename msl_id<T>::type v, memory_order); \
    template <class T> INTEGER<T> atomic_fetch_xor_explicit(volatile SPACE _atomic<T>* object, typename msl_id<T>::type v, memory_order); \
    template <class T> INTEGER<T> atomic_fetch_min_explicit(volatile SPACE _atomic<T>* object, typename msl_id<T>::type v, memory_order); \
    template <class T> INTEGER<T> atomic_fetch_max_explicit(volatile SPACE _atomic<T>* object, typename msl_id<T>::type v, memory_order);
MSL_ATOMIC(device, msl_number, msl_integer)
MSL_ATOMIC(threadgroup, msl_integer, msl_integer) // no floats in threadgroup memory
#else
template <class T> METAL_FUNC T msl_atomically(unsigned operation, const volatile _atomic<T>* object, T v) {
    msl_atomic(operation, msl_element<T>::code, (void*)&object->v, &v, nullptr);
    return v;
}
template <class T> METAL_FUNC T atomic_load_explicit(const volatile _atomic<T>* object, memory_order) { return msl_atomically(MSL_LOAD, object, T()); }
template <class T> METAL_FUNC void atomic_store_explicit(volatile _atomic<T>* object, typename msl_id<T>::type v, memory_order) { msl_atomically(MSL_STORE, object, v); }
#define MSL_ATOMIC(NAME, OPERATION) \
    template <class T> METAL_FUNC T atomic_##NAME##_explicit(volatile _atomic<T>* object, typename msl_id<T>::type v, memory_order) { return msl_atomically(OPERATION, object, v); }
MSL_ATOMIC(exchange, MSL_EXCHANGE)
MSL_ATOMIC(fetch_add, MSL_FETCH_ADD)
MSL_ATOMIC(fetch_sub, MSL_FETCH_SUB)
MSL_ATOMIC(fetch_and, MSL_FETCH_AND)
MSL_ATOMIC(fetch_or, MSL_FETCH_OR)
MSL_ATOMIC(fetch_xor, MSL_FETCH_XOR)
MSL_ATOMIC(fetch_min, MSL_FETCH_MIN)
MSL_ATOMIC(fetch_max, MSL_FETCH_MAX)
template <class T>
METAL_FUNC bool atomic_compare_exchange_weak_explicit(volatile _atomic<T>* object, typename msl_id<T>::type* expected, typename msl_id<T>::type v, memory_order, memory_order) {
    return msl_atomic(MSL_COMPARE, msl_element<T>::code, (void*)&object->v, &v, expected);
}
#endif
} // namespace metal
