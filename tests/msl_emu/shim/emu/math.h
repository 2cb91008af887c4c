// Arithmetic. Functions of one precision take arguments of one type, as overloads in Metal need them: min(x, 1) with a float x is
// refused. What is computed in single precision and rounded (half) or by the C library (transcendentals) is close to Metal's
// precise variants; fast math is not modelled.
#pragma once
#include "vectors.h"

namespace metal {
#define MSL_MAP1(NAME, RESULT, EXPRESSION)                                       \
    template <class T> METAL_FUNC RESULT<T> NAME(T v) MSL_BODY(                  \
        T r;                                                                     \
        for (int k = 0; k < msl_traits<T>::count; k++) {                         \
            auto x = msl_traits<T>::get(v, k);                                   \
            typedef msl_el<T> E;                                                 \
            msl_traits<T>::set(r, k, (E)(EXPRESSION));                           \
        }                                                                        \
        return r;)
#define MSL_MAP2(NAME, RESULT, EXPRESSION)                                       \
    template <class T> METAL_FUNC RESULT<T> NAME(T v, T w) MSL_BODY(             \
        T r;                                                                     \
        for (int k = 0; k < msl_traits<T>::count; k++) {                         \
            auto x = msl_traits<T>::get(v, k);                                   \
            auto y = msl_traits<T>::get(w, k);                                   \
            typedef msl_el<T> E;                                                 \
            msl_traits<T>::set(r, k, (E)(EXPRESSION));                           \
        }                                                                        \
        return r;)
#define MSL_MAP3(NAME, RESULT, EXPRESSION)                                       \
    template <class T> METAL_FUNC RESULT<T> NAME(T v, T w, T u) MSL_BODY(        \
        T r;                                                                     \
        for (int k = 0; k < msl_traits<T>::count; k++) {                         \
            auto x = msl_traits<T>::get(v, k);                                   \
            auto y = msl_traits<T>::get(w, k);                                   \
            auto z = msl_traits<T>::get(u, k);                                   \
            typedef msl_el<T> E;                                                 \
            msl_traits<T>::set(r, k, (E)(EXPRESSION));                           \
        }                                                                        \
        return r;)

MSL_MAP1(exp, msl_float, __builtin_expf(x))
MSL_MAP1(exp2, msl_float, __builtin_exp2f(x))
MSL_MAP1(exp10, msl_float, __builtin_powf(10.0f, x))
MSL_MAP1(log, msl_float, __builtin_logf(x))
MSL_MAP1(log2, msl_float, __builtin_log2f(x))
MSL_MAP1(log10, msl_float, __builtin_log10f(x))
MSL_MAP1(sin, msl_float, __builtin_sinf(x))
MSL_MAP1(cos, msl_float, __builtin_cosf(x))
MSL_MAP1(tan, msl_float, __builtin_tanf(x))
MSL_MAP1(asin, msl_float, __builtin_asinf(x))
MSL_MAP1(acos, msl_float, __builtin_acosf(x))
MSL_MAP1(atan, msl_float, __builtin_atanf(x))
MSL_MAP1(sinh, msl_float, __builtin_sinhf(x))
MSL_MAP1(cosh, msl_float, __builtin_coshf(x))
MSL_MAP1(tanh, msl_float, __builtin_tanhf(x))
MSL_MAP1(sqrt, msl_float, __builtin_sqrtf(x))
MSL_MAP1(rsqrt, msl_float, 1.0f / __builtin_sqrtf(x))
MSL_MAP1(floor, msl_float, __builtin_floorf(x))
MSL_MAP1(ceil, msl_float, __builtin_ceilf(x))
MSL_MAP1(trunc, msl_float, __builtin_truncf(x))
MSL_MAP1(round, msl_float, __builtin_roundf(x))
MSL_MAP1(rint, msl_float, __builtin_rintf(x))
MSL_MAP1(fabs, msl_float, __builtin_fabsf(x))
MSL_MAP1(fract, msl_float, __builtin_fminf((float)x - __builtin_floorf(x), 0x1.fffffep-1f))
MSL_MAP1(saturate, msl_float, __builtin_fminf(__builtin_fmaxf(x, 0.0f), 1.0f))
MSL_MAP1(sign, msl_float, x > (E)0 ? 1.0f : x < (E)0 ? -1.0f : x == x ? (float)x : 0.0f)
MSL_MAP1(abs, msl_number, x < (E)0 ? (E)-x : x)
MSL_MAP2(pow, msl_float, __builtin_powf(x, y))
MSL_MAP2(powr, msl_float, __builtin_powf(x, y))
MSL_MAP2(atan2, msl_float, __builtin_atan2f(x, y))
MSL_MAP2(fmod, msl_float, __builtin_fmodf(x, y))
MSL_MAP2(copysign, msl_float, __builtin_copysignf(x, y))
MSL_MAP2(step, msl_float, y < x ? 0.0f : 1.0f)
// Of two numbers and a NaN, the number.
MSL_MAP2(fmin, msl_float, __builtin_fminf(x, y))
MSL_MAP2(fmax, msl_float, __builtin_fmaxf(x, y))
template <class E> METAL_FUNC E msl_min(E x, E y) { return y < x || x != x ? y : x; }
template <class E> METAL_FUNC E msl_max(E x, E y) { return x < y || x != x ? y : x; }
MSL_MAP2(min, msl_number, msl_min<E>(x, y))
MSL_MAP2(max, msl_number, msl_max<E>(x, y))
MSL_MAP3(clamp, msl_number, msl_min<E>(msl_max<E>(x, y), z))
MSL_MAP3(mix, msl_float, x + (E)((E)(y - x) * z))
// One rounding: a product of two halves and the sum with a third are exact enough in double precision.
METAL_FUNC float msl_fma(float x, float y, float z) MSL_BODY(return __builtin_fmaf(x, y, z);)
#ifndef MSL_CHECK
METAL_FUNC half msl_fma(half x, half y, half z) { return (half)__builtin_fma((double)x, (double)y, (double)z); }
#endif
MSL_MAP3(fma, msl_float, msl_fma(x, y, z))
MSL_MAP3(min3, msl_number, msl_min<E>(msl_min<E>(x, y), z))
MSL_MAP3(max3, msl_number, msl_max<E>(msl_max<E>(x, y), z))
MSL_MAP3(smoothstep, msl_float, ({
             float t = __builtin_fminf(__builtin_fmaxf(((float)z - (float)x) / ((float)y - (float)x), 0.0f), 1.0f);
             t * t * (3.0f - 2.0f * t);
         }))
// An edge, bounds or a weight for all components alike.
template <class T, int N> METAL_FUNC vec<T, N> mix(vec<T, N> x, vec<T, N> y, T a) MSL_BODY(return mix(x, y, (vec<T, N>)a);)
template <class T, int N> METAL_FUNC vec<T, N> clamp(vec<T, N> x, T a, T b) MSL_BODY(return clamp(x, (vec<T, N>)a, (vec<T, N>)b);)

template <class T> METAL_FUNC msl_float<T> ldexp(T v, int e) MSL_BODY(
    T r; for (int k = 0; k < msl_traits<T>::count; k++) msl_traits<T>::set(r, k, (msl_el<T>)__builtin_ldexpf(msl_traits<T>::get(v, k), e)); return r;)
template <class T, int N> METAL_FUNC msl_float<T> dot(vec<T, N> a, vec<T, N> b) MSL_BODY(
    T s = a[0] * b[0]; for (int k = 1; k < N; k++) s += a[k] * b[k]; return s;)
template <class T, int N> METAL_FUNC msl_float<T> length_squared(vec<T, N> a) MSL_BODY(return dot(a, a);)
template <class T, int N> METAL_FUNC msl_float<T> length(vec<T, N> a) MSL_BODY(return sqrt(dot(a, a));)
template <class T, int N> METAL_FUNC msl_float<T> distance(vec<T, N> a, vec<T, N> b) MSL_BODY(return length(a - b);)
template <class T, int N> METAL_FUNC vec<msl_float<T>, N> normalize(vec<T, N> a) MSL_BODY(return a * rsqrt(dot(a, a));)
template <class T> METAL_FUNC vec<msl_float<T>, 3> cross(vec<T, 3> a, vec<T, 3> b) MSL_BODY(
    return a.yzx * b.zxy - a.zxy * b.yzx;)

// --- relations: of scalars bool, of vectors what a comparison yields ---
template <class T> METAL_FUNC bool all(T v) MSL_BODY(
    bool r = true; for (int k = 0; k < msl_traits<T>::count; k++) r = r && msl_traits<T>::get(v, k); return r;)
template <class T> METAL_FUNC bool any(T v) MSL_BODY(
    bool r = false; for (int k = 0; k < msl_traits<T>::count; k++) r = r || msl_traits<T>::get(v, k); return r;)
METAL_FUNC bool isnan(float x) MSL_BODY(return x != x;)
METAL_FUNC bool isinf(float x) MSL_BODY(return __builtin_fabsf(x) == INFINITY;)
METAL_FUNC bool isfinite(float x) MSL_BODY(return __builtin_fabsf(x) < INFINITY;)
METAL_FUNC bool signbit(float x) MSL_BODY(return __builtin_signbit(x);)
#define MSL_RELATION(NAME, EXPRESSION)                                                                  \
    METAL_FUNC bool NAME(half x) MSL_BODY(return NAME((float)x);)                                         \
    template <class T, int N> METAL_FUNC msl_bools<N> NAME(vec<T, N> v) MSL_BODY(                          \
        msl_bools<N> r; for (int k = 0; k < N; k++) r[k] = NAME(v[k]); return r;)
MSL_RELATION(isnan, 0) MSL_RELATION(isinf, 0) MSL_RELATION(isfinite, 0) MSL_RELATION(signbit, 0)

// b where the condition holds, else a.
template <class T> METAL_FUNC T select(T a, T b, bool c) MSL_BODY(return c ? b : a;)
template <class T, int N> METAL_FUNC vec<T, N> select(vec<T, N> a, vec<T, N> b, msl_bools<N> c) MSL_BODY(
    vec<T, N> r; for (int k = 0; k < N; k++) r[k] = c[k] ? b[k] : a[k]; return r;)
template <class T, class C, int N> METAL_FUNC vec<T, N> select(vec<T, N> a, vec<T, N> b, vec<C, N> c) MSL_BODY(
    vec<T, N> r; for (int k = 0; k < N; k++) r[k] = c[k] != 0 ? b[k] : a[k]; return r;)

// --- integers ---
template <class E> METAL_FUNC E msl_bits(E v, uint offset, uint count) MSL_BODY(
    const uint width = sizeof(E) * 8;
    if (count == 0 || offset >= width) return (E)0;
    if (count > width - offset) count = width - offset;
    return (E)((E)((ulong)v << (width - count - offset)) >> (width - count));)
template <class E> METAL_FUNC ulong msl_plain(E v) { return (ulong)v & (~0ul >> (64 - 8 * sizeof(E))); }
MSL_MAP1(popcount, msl_integer, __builtin_popcountl(msl_plain(x)))
MSL_MAP1(clz, msl_integer, msl_plain(x) ? __builtin_clzl(msl_plain(x)) - (64 - 8 * (int)sizeof(E)) : 8 * (int)sizeof(E))
MSL_MAP1(ctz, msl_integer, msl_plain(x) ? __builtin_ctzl(msl_plain(x)) : 8 * (int)sizeof(E))
MSL_MAP1(reverse_bits, msl_integer, __builtin_bitreverse64(msl_plain(x)) >> (64 - 8 * sizeof(E)))
MSL_MAP2(absdiff, msl_integer, x < y ? (ulong)y - (ulong)x : (ulong)x - (ulong)y)
MSL_MAP2(rotate, msl_integer, msl_plain(x) << (y & (8 * sizeof(E) - 1)) | msl_plain(x) >> ((8 * sizeof(E) - (y & (8 * sizeof(E) - 1))) & (8 * sizeof(E) - 1)))
MSL_MAP2(mulhi, msl_integer, ({ static_assert(sizeof(E) <= 4, "mulhi: at most 32 bits here"); (long)x * (long)y >> 8 * sizeof(E); }))
template <class T> METAL_FUNC msl_integer<T> extract_bits(T v, uint offset, uint count) MSL_BODY(
    T r; for (int k = 0; k < msl_traits<T>::count; k++) msl_traits<T>::set(r, k, msl_bits(msl_traits<T>::get(v, k), offset, count)); return r;)
template <class T> METAL_FUNC msl_integer<T> insert_bits(T base, T insert, uint offset, uint count) MSL_BODY(
    typedef msl_el<T> E;
    ulong mask = count == 0 ? 0ul : (~0ul >> (64 - count)) << offset;
    T r;
    for (int k = 0; k < msl_traits<T>::count; k++)
        msl_traits<T>::set(r, k, (E)(((ulong)msl_traits<T>::get(base, k) & ~mask) | (((ulong)msl_traits<T>::get(insert, k) << offset) & mask)));
    return r;)

// --- several numbers in one word ---
METAL_FUNC float2 unpack_half2x16_to_float(uint x) MSL_BODY(half2 h = as_type<half2>(x); float2 r; r[0] = h[0]; r[1] = h[1]; return r;)
METAL_FUNC float4 unpack_unorm4x8_to_float(uint x) MSL_BODY(
    float4 r; for (int k = 0; k < 4; k++) r[k] = (float)(x >> 8 * k & 255) / 255.0f; return r;)
METAL_FUNC float4 unpack_snorm4x8_to_float(uint x) MSL_BODY(
    float4 r; for (int k = 0; k < 4; k++) r[k] = __builtin_fmaxf((float)(char)(x >> 8 * k & 255) / 127.0f, -1.0f); return r;)

#define MSL_PRECISIONS                                                                                             \
    using metal::exp; using metal::exp2; using metal::exp10; using metal::log; using metal::log2; using metal::log10;  \
    using metal::sin; using metal::cos; using metal::tan; using metal::asin; using metal::acos; using metal::atan;     \
    using metal::atan2; using metal::sinh; using metal::cosh; using metal::tanh; using metal::sqrt; using metal::rsqrt;  \
    using metal::pow; using metal::powr; using metal::floor; using metal::ceil; using metal::trunc; using metal::round;  \
    using metal::rint; using metal::fabs; using metal::fract; using metal::fmin; using metal::fmax; using metal::fmod;   \
    using metal::abs; using metal::min; using metal::max; using metal::clamp; using metal::saturate; using metal::sign;
namespace precise { MSL_PRECISIONS }
namespace fast { MSL_PRECISIONS }
} // namespace metal
