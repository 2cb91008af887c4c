// Vectors are built from any mix of scalars and shorter vectors: float4(xy, z, 1.0f). clang has no such constructors, so that names
// of vectors followed by a parenthesis become calls (the macros at the end of metal_stdlib, and the rewriter for `vec<T, 4>(…)`).
#pragma once
#include "types.h"

namespace metal {
// Vectors of bool. clang's comparisons of vectors yield integers of the operands' width, 0 or -1.
template <int N> struct msl_bools {
    bool e[N];
    msl_bools() = default;
    METAL_FUNC msl_bools(bool x) { for (int k = 0; k < N; k++) e[k] = x; }
    template <class T> METAL_FUNC msl_bools(vec<T, N> v) {
        for (int k = 0; k < N; k++) e[k] = v[k] != 0;
    }
    METAL_FUNC bool operator[](int i) const { return e[i]; }
    METAL_FUNC thread bool& operator[](int i) MSL_OWN { return e[i]; }
};

template <int N> struct msl_traits<msl_bools<N>> {
    typedef bool element;
    static constexpr int count = N;
    static METAL_FUNC bool get(msl_bools<N> v, int i) { return v[i]; }
    static METAL_FUNC void set(thread msl_bools<N>& v, int i, bool x) { v[i] = x; }
};

typedef msl_bools<2> bool2;
typedef msl_bools<3> bool3;
typedef msl_bools<4> bool4;

template <class V, class A> METAL_FUNC void msl_put(thread V& v, thread int& at, A a) {
    for (int k = 0; k < msl_traits<A>::count; k++) msl_traits<V>::set(v, at + k, (msl_el<V>)msl_traits<A>::get(a, k));
    at += msl_traits<A>::count;
}
template <class A> constexpr int msl_count() { return msl_traits<A>::count; }
template <class A, class B, class... R> constexpr int msl_count() { return msl_traits<A>::count + msl_count<B, R...>(); }

template <class V> METAL_FUNC V msl_make() {
    V v;
    for (int k = 0; k < msl_traits<V>::count; k++) msl_traits<V>::set(v, k, (msl_el<V>)0);
    return v;
}
template <class V, class A> METAL_FUNC V msl_make(A a) {
    static_assert(msl_traits<A>::count == 1 || msl_traits<A>::count == msl_traits<V>::count,
                  "vector constructor: wrong number of components");
    static_assert(msl_element<msl_el<A>>::kind != MSL_OTHER, "vector constructor: an argument is no number");
    V v;
    int at = 0;
    if (msl_traits<A>::count == msl_traits<V>::count) msl_put(v, at, a);
    else
        for (int k = 0; k < msl_traits<V>::count; k++) msl_traits<V>::set(v, k, (msl_el<V>)msl_traits<A>::get(a, 0));
    return v;
}
template <class V, class A, class B, class... R> METAL_FUNC V msl_make(A a, B b, R... r) {
    static_assert(msl_count<A, B, R...>() == msl_traits<V>::count, "vector constructor: wrong number of components");
    V v;
    int at = 0;
    msl_put(v, at, a);
    msl_put(v, at, b);
    int each[] = {0, (msl_put(v, at, r), 0)...};
    (void)each;
    return v;
}

// A type that a template's parameter stands for: numbers and vectors convert as Metal converts them, structs as they say.
template <bool Number> struct msl_builder {
    template <class V, class... A> static METAL_FUNC V make(A... a) { return msl_make<V>(a...); }
};
template <> struct msl_builder<false> {
    template <class V, class... A> static METAL_FUNC V make(A... a) { return V(a...); }
};
template <class V, class... A> METAL_FUNC V msl_construct(A... a) {
    return msl_builder<msl_element<msl_el<V>>::kind != MSL_OTHER>::template make<V>(a...);
}

#define MSL_VECTORS(X) X(float) X(half) X(bfloat) X(int) X(uint) X(short) X(ushort) X(char) X(uchar) X(long) X(ulong)
#define MSL_VECTOR(T)          \
    typedef vec<T, 2> T##2;    \
    typedef vec<T, 3> T##3;    \
    typedef vec<T, 4> T##4;    \
    template <class... A> METAL_FUNC T##2 msl_make_##T##2(A... a) { return msl_make<T##2>(a...); } \
    template <class... A> METAL_FUNC T##3 msl_make_##T##3(A... a) { return msl_make<T##3>(a...); } \
    template <class... A> METAL_FUNC T##4 msl_make_##T##4(A... a) { return msl_make<T##4>(a...); }
MSL_VECTORS(MSL_VECTOR)
#undef MSL_VECTOR
template <class... A> METAL_FUNC bool2 msl_make_bool2(A... a) { return msl_make<bool2>(a...); }
template <class... A> METAL_FUNC bool3 msl_make_bool3(A... a) { return msl_make<bool3>(a...); }
template <class... A> METAL_FUNC bool4 msl_make_bool4(A... a) { return msl_make<bool4>(a...); }

// In memory, packed vectors are aligned to one element, and three elements take the room of three.
#define MSL_PACKED(T)                                                                            \
    typedef T packed_##T##2 __attribute__((ext_vector_type(2), aligned(sizeof(T))));             \
    typedef T packed_##T##4 __attribute__((ext_vector_type(4), aligned(sizeof(T))));             \
    struct packed_##T##3 {                                                                       \
        T x, y, z;                                                                               \
        packed_##T##3() = default;                                                               \
        METAL_FUNC packed_##T##3(T a, T b, T c) : x(a), y(b), z(c) {}                             \
        METAL_FUNC packed_##T##3(vec<T, 3> v) : x(v[0]), y(v[1]), z(v[2]) {}                      \
        METAL_FUNC operator vec<T, 3>() const { vec<T, 3> v; v[0] = x; v[1] = y; v[2] = z; return v; } \
        METAL_FUNC T operator[](int i) const { return i == 0 ? x : i == 1 ? y : z; }              \
    };                                                                                           \
    template <> struct msl_traits<packed_##T##3> {                                               \
        typedef T element;                                                                       \
        static constexpr int count = 3;                                                          \
        static METAL_FUNC T get(packed_##T##3 v, int i) { return v[i]; }                          \
    };
MSL_PACKED(float) MSL_PACKED(half) MSL_PACKED(int) MSL_PACKED(uint) MSL_PACKED(short) MSL_PACKED(ushort) MSL_PACKED(char) MSL_PACKED(uchar)
#undef MSL_PACKED

template <class D, class S> METAL_FUNC D as_type(S s) {
    static_assert(sizeof(D) == sizeof(S), "as_type: the types differ in size");
    return __builtin_bit_cast(D, s);
}
} // namespace metal
