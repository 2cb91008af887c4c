// 8×8 matrices spread over the lanes of a simdgroup, two elements each. Which two is not documented by Apple; the layout is the one
// that published kernels rely on.
#pragma once
#include "simd.h"

namespace metal {
#ifndef MSL_CHECK
METAL_FUNC uint msl_row() { const uint lane = msl_current->lane; return (lane / 4 & 4) + lane / 2 % 4; }
METAL_FUNC uint msl_column() { const uint lane = msl_current->lane; return (lane / 4 & 2) * 2 + lane % 2 * 2; }
#endif

template <class T, int Columns, int Rows> struct simdgroup_matrix {
    static_assert(Columns == 8 && Rows == 8, "simdgroup matrices are 8×8");
    static_assert(msl_same<T, float>::value || msl_same<T, half>::value || msl_same<T, bfloat>::value, "simdgroup matrices hold float, half or bfloat");
    vec<T, 2> e;
    simdgroup_matrix() = default;
    // A diagonal matrix.
    METAL_FUNC explicit simdgroup_matrix(T d) MSL_BODY(
        const uint r = msl_row(), c = msl_column(); e[0] = r == c ? d : (T)0; e[1] = r == c + 1 ? d : (T)0;)
    METAL_FUNC thread vec<T, 2>& thread_elements() MSL_OWN { return e; }
};
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;

template <class T, int Columns, int Rows> METAL_FUNC simdgroup_matrix<T, Columns, Rows> make_filled_simdgroup_matrix(T v) {
    simdgroup_matrix<T, Columns, Rows> m;
    m.e[0] = v;
    m.e[1] = v;
    return m;
}

// The tile that begins at column origin.x, row origin.y of a row-major matrix; transposed, of a column-major one.
#ifdef MSL_CHECK
#define MSL_MATRIX_MEMORY(SPACE)                                                                                                 \
    template <class T> void simdgroup_load(thread simdgroup_matrix<T, 8, 8>& d, const SPACE T* source, ulong stride = 8, vec<ulong, 2> origin = (vec<ulong, 2>)0, bool transpose = false); \
    template <class T> void simdgroup_store(simdgroup_matrix<T, 8, 8> m, SPACE T* target, ulong stride = 8, vec<ulong, 2> origin = (vec<ulong, 2>)0, bool transpose = false);
MSL_MATRIX_MEMORY(device)
MSL_MATRIX_MEMORY(threadgroup)
#else
METAL_FUNC void msl_agree(const char* name, const void* memory, ulong stride, vec<ulong, 2> origin, bool transpose, const char* file, unsigned line) {
    struct { const void* memory; uint stride; uint x, y; uint transpose; } brought = {memory, (uint)stride, (uint)origin[0], (uint)origin[1], transpose};
    const msl_call call = {name, file, line, MSL_AGREE, 32, 0, sizeof(brought), 0};
    msl_together(&call, &brought);
}
template <class T>
METAL_FUNC void simdgroup_load(simdgroup_matrix<T, 8, 8>& d, const T* source, ulong stride = 8, vec<ulong, 2> origin = (vec<ulong, 2>)0, bool transpose = false MSL_AND_HERE) {
    msl_agree("simdgroup_load", source, stride, origin, transpose, msl_file, msl_line);
    const ulong r = msl_row(), c = msl_column();
    for (int k = 0; k < 2; k++) d.e[k] = transpose ? source[(origin[1] + c + k) * stride + origin[0] + r] : source[(origin[1] + r) * stride + origin[0] + c + k];
}
template <class T>
METAL_FUNC void simdgroup_store(simdgroup_matrix<T, 8, 8> m, T* target, ulong stride = 8, vec<ulong, 2> origin = (vec<ulong, 2>)0, bool transpose = false MSL_AND_HERE) {
    msl_agree("simdgroup_store", target, stride, origin, transpose, msl_file, msl_line);
    const ulong r = msl_row(), c = msl_column();
    for (int k = 0; k < 2; k++) (transpose ? target[(origin[1] + c + k) * stride + origin[0] + r] : target[(origin[1] + r) * stride + origin[0] + c + k]) = m.e[k];
}
#endif

// d = a × b + c, with products and sums in single precision and one rounding to the type of d.
template <class D, class A, class B, class C>
METAL_FUNC void simdgroup_multiply_accumulate(thread simdgroup_matrix<D, 8, 8>& d, simdgroup_matrix<A, 8, 8> a, simdgroup_matrix<B, 8, 8> b, simdgroup_matrix<C, 8, 8> c MSL_AND_HERE) {
    static_assert(msl_same<C, D>::value, "simdgroup_multiply_accumulate: sum and result have one type");
    static_assert(msl_same<D, float>::value || (msl_same<D, A>::value && msl_same<D, B>::value), "simdgroup_multiply_accumulate: the result is float, or of the factors' type");
#ifndef MSL_CHECK
    float v[6] = {(float)a.e[0], (float)a.e[1], (float)b.e[0], (float)b.e[1], (float)c.e[0], (float)c.e[1]};
    const msl_call call = {"simdgroup_multiply_accumulate", msl_file, msl_line, MSL_MULTIPLY, 32, 1, 6, 0};
    msl_together(&call, v);
    d.e[0] = (D)v[0];
    d.e[1] = (D)v[1];
#endif
}
template <class D, class A, class B>
METAL_FUNC void simdgroup_multiply(thread simdgroup_matrix<D, 8, 8>& d, simdgroup_matrix<A, 8, 8> a, simdgroup_matrix<B, 8, 8> b MSL_AND_HERE) {
    simdgroup_multiply_accumulate(d, a, b, make_filled_simdgroup_matrix<D, 8, 8>((D)0) MSL_PASS_HERE);
}
} // namespace metal
