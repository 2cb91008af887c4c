// From the runtime's arguments to a kernel's parameters: the rewriter adds one entry function per kernel that calls these.
#pragma once
#include "runtime.h"

// The type of parameter number I.
template <class F, int I> struct msl_parameter_type;
template <class A, class... R> struct msl_parameter_type<void (*)(A, R...), 0> {
    typedef A type;
};
template <class A, class... R, int I> struct msl_parameter_type<void (*)(A, R...), I> {
    typedef typename msl_parameter_type<void (*)(R...), I - 1>::type type;
};

template <class T> struct msl_bound; // neither a pointer nor a reference
template <class T> struct msl_bound<T*> {
    static constexpr unsigned long least = 0;
    static T* get(const msl_arguments* a, unsigned slot) { return (T*)a->buffer[slot]; }
};
template <class T> struct msl_bound<T&> {
    static constexpr unsigned long least = sizeof(T);
    static T& get(const msl_arguments* a, unsigned slot) { return *(T*)a->buffer[slot]; }
};

template <class T> struct msl_builtin {
    static T get(const unsigned* v) { return (T)v[0]; }
};
template <class T, int N> struct msl_builtin<T __attribute__((ext_vector_type(N)))> {
    static metal::vec<T, N> get(const unsigned* v) {
        metal::vec<T, N> r;
        for (int k = 0; k < N; k++) r[k] = (T)v[k];
        return r;
    }
};

template <class T> struct msl_referred;
template <class T> struct msl_referred<T&> {
    typedef T type;
};
