// What the lanes of a simdgroup, or of a quad, do together. Every call is a rendezvous of all lanes that the simdgroup was started
// with: a lane elsewhere, or one that has returned, is an error, even where Metal would work with the lanes that are there.
#pragma once
#include "sync.h"

namespace metal {
template <class T> constexpr bool msl_carried() {
    // 64 bits, bool and structs are not promised by the specification for these functions.
    return msl_element<msl_el<T>>::kind != MSL_OTHER && msl_element<msl_el<T>>::kind != MSL_BOOL && sizeof(msl_el<T>) <= 4 && msl_traits<T>::count != 0;
}
template <class T> using msl_value = typename msl_if<msl_carried<T>(), T>::type;
template <class T> using msl_integral = typename msl_if<msl_carried<T>() && (msl_kind_of<T>() == MSL_SIGNED || msl_kind_of<T>() == MSL_UNSIGNED), T>::type;

#ifndef MSL_CHECK
template <class T>
METAL_FUNC T msl_do(const char* name, unsigned operation, unsigned group, T v, unsigned argument, const char* file, unsigned line) {
    const msl_call call = {name, file, line, operation, group, msl_element<msl_el<T>>::code, msl_traits<T>::count, argument};
    msl_together(&call, &v);
    return v;
}
#endif

#define MSL_TOGETHER(NAME, RESULT, OPERATION) \
    template <class T> METAL_FUNC RESULT<T> simd_##NAME(T v MSL_AND_HERE) MSL_BODY(return msl_do("simd_" #NAME, OPERATION, 32, v, 0 MSL_PASS_HERE);) \
    template <class T> METAL_FUNC RESULT<T> quad_##NAME(T v MSL_AND_HERE) MSL_BODY(return msl_do("quad_" #NAME, OPERATION, 4, v, 0 MSL_PASS_HERE);)
MSL_TOGETHER(sum, msl_value, MSL_SUM)
MSL_TOGETHER(product, msl_value, MSL_PRODUCT)
MSL_TOGETHER(min, msl_value, MSL_MIN)
MSL_TOGETHER(max, msl_value, MSL_MAX)
MSL_TOGETHER(and, msl_integral, MSL_AND)
MSL_TOGETHER(or, msl_integral, MSL_OR)
MSL_TOGETHER(xor, msl_integral, MSL_XOR)
MSL_TOGETHER(prefix_inclusive_sum, msl_value, MSL_INCLUSIVE_SUM)
MSL_TOGETHER(prefix_exclusive_sum, msl_value, MSL_EXCLUSIVE_SUM)
MSL_TOGETHER(prefix_inclusive_product, msl_value, MSL_INCLUSIVE_PRODUCT)
MSL_TOGETHER(prefix_exclusive_product, msl_value, MSL_EXCLUSIVE_PRODUCT)
MSL_TOGETHER(broadcast_first, msl_value, MSL_BROADCAST_FIRST)

#define MSL_MOVE(NAME, OPERATION)                                                                                \
    template <class T> METAL_FUNC msl_value<T> simd_##NAME(T v, ushort argument MSL_AND_HERE)                     \
        MSL_BODY(return msl_do("simd_" #NAME, OPERATION, 32, v, argument MSL_PASS_HERE);)                         \
    template <class T> METAL_FUNC msl_value<T> quad_##NAME(T v, ushort argument MSL_AND_HERE)                     \
        MSL_BODY(return msl_do("quad_" #NAME, OPERATION, 4, v, argument MSL_PASS_HERE);)
MSL_MOVE(shuffle, MSL_SHUFFLE)
MSL_MOVE(shuffle_xor, MSL_SHUFFLE_XOR)
MSL_MOVE(shuffle_up, MSL_SHUFFLE_UP)
MSL_MOVE(shuffle_down, MSL_SHUFFLE_DOWN)
MSL_MOVE(shuffle_rotate_up, MSL_ROTATE_UP)
MSL_MOVE(shuffle_rotate_down, MSL_ROTATE_DOWN)
MSL_MOVE(broadcast, MSL_BROADCAST)

// One bit per lane.
class simd_vote {
  public:
    typedef ulong vote_t;
    explicit METAL_FUNC simd_vote(vote_t bits = 0) : bits_(bits) {}
    explicit METAL_FUNC operator vote_t() const { return bits_; }

  private:
    vote_t bits_;
};
class quad_vote {
  public:
    typedef uint vote_t;
    explicit METAL_FUNC quad_vote(vote_t bits = 0) : bits_(bits) {}
    explicit METAL_FUNC operator vote_t() const { return bits_; }

  private:
    vote_t bits_;
};
#ifndef MSL_CHECK
METAL_FUNC uint msl_ballot(const char* name, unsigned group, bool p, const char* file, unsigned line) {
    return msl_do<uint>(name, MSL_BALLOT, group, p, 0, file, line);
}
METAL_FUNC uint msl_everyone(unsigned group) {
    const uint rest = msl_current->threads[0] * msl_current->threads[1] * msl_current->threads[2] - msl_current->simdgroup * 32;
    return group == 4 ? 15u : rest < 32 ? (1u << rest) - 1 : ~0u;
}
#endif
METAL_FUNC simd_vote simd_ballot(bool p MSL_AND_HERE) MSL_BODY(return simd_vote(msl_ballot("simd_ballot", 32, p MSL_PASS_HERE));)
METAL_FUNC quad_vote quad_ballot(bool p MSL_AND_HERE) MSL_BODY(return quad_vote(msl_ballot("quad_ballot", 4, p MSL_PASS_HERE));)
METAL_FUNC bool simd_all(bool p MSL_AND_HERE) MSL_BODY(return msl_ballot("simd_all", 32, p MSL_PASS_HERE) == msl_everyone(32);)
METAL_FUNC bool simd_any(bool p MSL_AND_HERE) MSL_BODY(return msl_ballot("simd_any", 32, p MSL_PASS_HERE) != 0;)
METAL_FUNC bool quad_all(bool p MSL_AND_HERE) MSL_BODY(return msl_ballot("quad_all", 4, p MSL_PASS_HERE) == msl_everyone(4);)
METAL_FUNC bool quad_any(bool p MSL_AND_HERE) MSL_BODY(return msl_ballot("quad_any", 4, p MSL_PASS_HERE) != 0;)
METAL_FUNC simd_vote simd_active_threads_mask(MSL_HERE) MSL_BODY(return simd_vote(msl_ballot("simd_active_threads_mask", 32, true MSL_PASS_HERE));)
METAL_FUNC bool simd_is_first(MSL_HERE) MSL_BODY(msl_ballot("simd_is_first", 32, true MSL_PASS_HERE); return msl_current->lane == 0;)
} // namespace metal
