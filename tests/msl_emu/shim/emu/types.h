// Scalars, address spaces, vectors.
//
// The shim is read in two ways. By default the kernel becomes C++14 for this machine: address spaces vanish, functions have bodies.
// With MSL_CHECK it is read by clang's front end of C++ for OpenCL, whose address spaces are Metal's under other names; nothing is
// generated, so functions that only the run needs are declared and no more.
#pragma once
#define __METAL_VERSION__ 310
#define METAL_FUNC inline __attribute__((always_inline))

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef unsigned char uint8_t;
typedef signed char int8_t;
typedef unsigned short uint16_t;
typedef short int16_t;
typedef unsigned int uint32_t;
typedef int int32_t;
typedef unsigned long uint64_t;
typedef long int64_t;
typedef unsigned long size_t;
typedef long ptrdiff_t;
typedef __bf16 bfloat;

#ifdef MSL_CHECK
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#define device __attribute__((opencl_global_device))
// OpenCL's own __constant allows no copy of a struct out of it, which Metal's does.
#define constant const __attribute__((opencl_global_host))
#define threadgroup __attribute__((opencl_local))
#define thread __attribute__((opencl_private))
#define MSL_BODY(...) ;
// Behind a member function: for a thread's own objects.
#define MSL_OWN __private
#else
#define device
#define constant const
#define threadgroup
#define thread
#define kernel
#define MSL_BODY(...) { __VA_ARGS__ }
#define MSL_OWN
typedef _Float16 half;
constexpr half operator""h(long double v) { return (half)v; }
constexpr half operator""H(long double v) { return (half)v; }
#endif

#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define MAXFLOAT 3.402823466e+38f
#define HUGE_VALF __builtin_huge_valf()
#define FLT_MAX 3.402823466e+38f
#define FLT_MIN 1.175494351e-38f
#define FLT_EPSILON 1.192092896e-07f
#define HALF_MAX ((half)65504.0f)
#define HALF_MIN ((half)6.103515625e-05f)
#define HALF_EPSILON ((half)9.765625e-04f)
#define INT_MAX 2147483647
#define INT_MIN (-2147483647 - 1)
#define UINT_MAX 4294967295u
#define USHRT_MAX 65535
#define UCHAR_MAX 255
#define M_PI_F 3.14159265358979323846f
#define M_PI_2_F 1.57079632679489661923f
#define M_1_PI_F 0.31830988618379067154f
#define M_2_PI_F 0.63661977236758134308f
#define M_E_F 2.71828182845904523536f
#define M_LOG2E_F 1.44269504088896340736f
#define M_LOG10E_F 0.43429448190325182765f
#define M_LN2_F 0.69314718055994530942f
#define M_SQRT2_F 1.41421356237309504880f
#define M_SQRT1_2_F 0.70710678118654752440f

// In the check there are two answers to `sizeof`-like questions about types only; bodies come with the run.
namespace metal {
using ::bfloat;
using ::int16_t;
using ::int32_t;
using ::int64_t;
using ::int8_t;
using ::ptrdiff_t;
using ::size_t;
using ::uchar;
using ::uint;
using ::uint16_t;
using ::uint32_t;
using ::uint64_t;
using ::uint8_t;
using ::ulong;
using ::ushort;
#ifndef MSL_CHECK // a keyword there
using ::half;
#endif

template <class T, int N> using vec = T __attribute__((ext_vector_type(N)));

template <class A, class B> struct msl_same { static constexpr bool value = false; };
template <class A> struct msl_same<A, A> { static constexpr bool value = true; };
template <bool C, class T = void> struct msl_if {};
template <class T> struct msl_if<true, T> { typedef T type; };
template <class T> struct msl_id { typedef T type; };

enum msl_kind { MSL_OTHER, MSL_FLOAT, MSL_BFLOAT, MSL_SIGNED, MSL_UNSIGNED, MSL_BOOL };
// What an element is, and the number by which the runtime knows it.
template <class T> struct msl_element { static constexpr msl_kind kind = MSL_OTHER; static constexpr unsigned code = 0; };
#define MSL_ELEMENT(T, K, N) \
    template <> struct msl_element<T> { static constexpr msl_kind kind = K; static constexpr unsigned code = N; };
MSL_ELEMENT(float, MSL_FLOAT, 1)
MSL_ELEMENT(half, MSL_FLOAT, 2)
MSL_ELEMENT(bfloat, MSL_BFLOAT, 3)
MSL_ELEMENT(int, MSL_SIGNED, 4)
MSL_ELEMENT(uint, MSL_UNSIGNED, 5)
MSL_ELEMENT(short, MSL_SIGNED, 6)
MSL_ELEMENT(ushort, MSL_UNSIGNED, 7)
MSL_ELEMENT(char, MSL_SIGNED, 8)
MSL_ELEMENT(signed char, MSL_SIGNED, 8)
MSL_ELEMENT(uchar, MSL_UNSIGNED, 9)
MSL_ELEMENT(long, MSL_SIGNED, 10)
MSL_ELEMENT(ulong, MSL_UNSIGNED, 11)
MSL_ELEMENT(bool, MSL_BOOL, 12)

// Element type, count, and access that is the same for scalars and vectors.
template <class V> struct msl_traits {
    typedef V element;
    static constexpr int count = 1;
    static METAL_FUNC V get(V v, int) { return v; }
    static METAL_FUNC void set(thread V& v, int, V x) { v = x; }
};
template <class T, int N> struct msl_traits<T __attribute__((ext_vector_type(N)))> {
    typedef T element;
    static constexpr int count = N;
    static METAL_FUNC T get(vec<T, N> v, int i) { return v[i]; }
    static METAL_FUNC void set(thread vec<T, N>& v, int i, T x) { v[i] = x; }
};
template <class V> using msl_el = typename msl_traits<V>::element;
template <class V> constexpr msl_kind msl_kind_of() { return msl_element<msl_el<V>>::kind; }
// Result types that exist for some kinds of argument only.
template <class V> using msl_float = typename msl_if<msl_kind_of<V>() == MSL_FLOAT, V>::type;
template <class V> using msl_integer = typename msl_if<msl_kind_of<V>() == MSL_SIGNED || msl_kind_of<V>() == MSL_UNSIGNED, V>::type;
template <class V>
using msl_number = typename msl_if<msl_kind_of<V>() == MSL_FLOAT || msl_kind_of<V>() == MSL_SIGNED || msl_kind_of<V>() == MSL_UNSIGNED, V>::type;
} // namespace metal
