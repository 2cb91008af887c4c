// What the lanes of a simdgroup compute together, once all of them have arrived.
#pragma once
#include "fibers.h"

template <class T> static T fold(unsigned operation, T a, T b) {
    switch (operation) {
    case MSL_SUM: case MSL_INCLUSIVE_SUM: case MSL_EXCLUSIVE_SUM: return (T)(a + b);
    case MSL_PRODUCT: case MSL_INCLUSIVE_PRODUCT: case MSL_EXCLUSIVE_PRODUCT: return (T)(a * b);
    case MSL_MIN: return b < a || a != a ? b : a;
    default: return a < b || a != a ? b : a;
    }
}
template <class T> static T fold_bits(unsigned operation, T a, T b) {
    return operation == MSL_AND ? a & b : operation == MSL_OR ? a | b : operation == MSL_XOR ? a ^ b : fold<T>(operation, a, b);
}

// One component of a reduction or a prefix. Reductions go pairwise, as a tree of shuffles does; Metal promises no order.
template <class T, T (*Fold)(unsigned, T, T)> static void reduce(Fiber* lanes, unsigned count, unsigned operation, unsigned component) {
    T in[32], out[32];
    for (unsigned i = 0; i < count; i++) memcpy(&in[i], lanes[i].value + component * sizeof(T), sizeof(T));
    const bool product = operation == MSL_INCLUSIVE_PRODUCT || operation == MSL_EXCLUSIVE_PRODUCT;
    if (operation >= MSL_INCLUSIVE_SUM) {
        const bool exclusive = operation == MSL_EXCLUSIVE_SUM || operation == MSL_EXCLUSIVE_PRODUCT;
        T sum = (T)(product ? 1 : 0);
        for (unsigned i = 0; i < count; i++) {
            if (exclusive) out[i] = sum;
            sum = Fold(operation, sum, in[i]);
            if (!exclusive) out[i] = sum;
        }
    } else {
        T tree[32];
        memcpy(tree, in, sizeof tree);
        for (unsigned step = 1; step < count; step *= 2)
            for (unsigned i = 0; i + step < count; i += 2 * step) tree[i] = Fold(operation, tree[i], tree[i + step]);
        for (unsigned i = 0; i < count; i++) out[i] = tree[0];
    }
    for (unsigned i = 0; i < count; i++) memcpy(lanes[i].value + component * sizeof(T), &out[i], sizeof(T));
}

static unsigned element_bytes(unsigned type) {
    static const unsigned bytes[] = {1, 4, 2, 2, 4, 4, 2, 2, 1, 1, 8, 8, 1};
    return bytes[type];
}

static void reduce_all(Fiber* lanes, unsigned count, const msl_call& c) {
    for (unsigned k = 0; k < c.count; k++) {
        switch (c.type) {
        case 1: reduce<float, fold<float>>(lanes, count, c.operation, k); break;
        case 2: reduce<_Float16, fold<_Float16>>(lanes, count, c.operation, k); break;
        case 3: reduce<__bf16, fold<__bf16>>(lanes, count, c.operation, k); break;
        case 4: reduce<int32_t, fold_bits<int32_t>>(lanes, count, c.operation, k); break;
        case 5: reduce<uint32_t, fold_bits<uint32_t>>(lanes, count, c.operation, k); break;
        case 6: reduce<int16_t, fold_bits<int16_t>>(lanes, count, c.operation, k); break;
        case 7: reduce<uint16_t, fold_bits<uint16_t>>(lanes, count, c.operation, k); break;
        case 8: reduce<int8_t, fold_bits<int8_t>>(lanes, count, c.operation, k); break;
        case 9: reduce<uint8_t, fold_bits<uint8_t>>(lanes, count, c.operation, k); break;
        default: msl_fail("%s: element type %u", c.name, c.type);
        }
    }
}

static void must_agree(const Fiber* lanes, unsigned count, const char* what) {
    for (unsigned i = 1; i < count; i++)
        if (lanes[i].request->argument != lanes[0].request->argument)
            msl_fail("%s:%u: %s: %s must be the same in all lanes: lane %u brings %u, lane %u brings %u", lanes[0].file, lanes[0].line, lanes[0].name,
                     what, lanes[0].thread.lane, lanes[0].request->argument, lanes[i].thread.lane, lanes[i].request->argument);
}

static void move_values(Fiber* lanes, unsigned count, const msl_call& c) {
    const unsigned bytes = c.count * element_bytes(c.type);
    unsigned char in[32][32];
    for (unsigned i = 0; i < count; i++) memcpy(in[i], lanes[i].value, bytes);
    if (c.operation == MSL_BROADCAST) must_agree(lanes, count, "the lane");
    if (c.operation >= MSL_SHUFFLE_XOR && c.operation <= MSL_ROTATE_DOWN) must_agree(lanes, count, c.operation == MSL_SHUFFLE_XOR ? "the mask" : "the distance");
    for (unsigned i = 0; i < count; i++) {
        const unsigned a = lanes[i].request->argument;
        unsigned from = 0;
        switch (c.operation) {
        case MSL_SHUFFLE: case MSL_BROADCAST: from = a; break;
        case MSL_SHUFFLE_XOR: from = i ^ a; break;
        case MSL_SHUFFLE_UP: from = i - a; break;
        case MSL_SHUFFLE_DOWN: from = i + a; break;
        case MSL_ROTATE_UP: from = (i - a) % c.group; break;
        case MSL_ROTATE_DOWN: from = (i + a) % c.group; break;
        default: break;
        }
        if (from < count) {
            memcpy(lanes[i].value, in[from], bytes);
        } else if (c.operation == MSL_SHUFFLE_UP || c.operation == MSL_SHUFFLE_DOWN) {
            // Metal leaves these lanes as they are; nobody should build on it.
            memset(lanes[i].value, 0xFF, bytes);
        } else {
            msl_fail("%s:%u: %s: lane %u takes the value of lane %u, and there are %u", lanes[i].file, lanes[i].line, c.name, i, from, count);
        }
    }
}

static void multiply(Fiber* lanes) {
    float a[64], b[64], d[64];
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned lane = 0; lane < 32; lane++) {
            const unsigned row = (lane / 4 & 4) + lane / 2 % 4, column = (lane / 4 & 2) * 2 + lane % 2 * 2, at = row * 8 + column;
            float v[6];
            memcpy(v, lanes[lane].value, sizeof v);
            if (pass == 0) {
                a[at] = v[0], a[at + 1] = v[1], b[at] = v[2], b[at + 1] = v[3], d[at] = v[4], d[at + 1] = v[5];
            } else {
                memcpy(lanes[lane].value, &d[at], 8);
            }
            if (pass == 0 && lane == 31)
                for (unsigned r = 0; r < 8; r++)
                    for (unsigned k = 0; k < 8; k++)
                        for (unsigned c = 0; c < 8; c++) d[r * 8 + c] += a[r * 8 + k] * b[k * 8 + c];
        }
}

static void do_together(Fiber* lanes, unsigned count) {
    const msl_call& c = *lanes[0].request;
    if (c.operation == MSL_MULTIPLY) {
        if (count != 32) msl_fail("%s:%u: %s in a simdgroup of %u threads", c.file, c.line, c.name, count);
        return multiply(lanes);
    }
    if (c.operation == MSL_AGREE) {
        for (unsigned i = 1; i < count; i++)
            if (memcmp(lanes[i].value, lanes[0].value, c.count)) msl_fail("%s:%u: %s: lanes 0 and %u bring different arguments", c.file, c.line, c.name, i);
        if (count != 32) msl_fail("%s:%u: %s in a simdgroup of %u threads", c.file, c.line, c.name, count);
        return;
    }
    // Quads are parts of a simdgroup that do the same, each for itself.
    for (unsigned first = 0; first < count; first += c.group) {
        Fiber* part = lanes + first;
        const unsigned n = std::min(c.group, count - first);
        if (c.operation == MSL_BALLOT) {
            uint32_t bits = 0, v;
            for (unsigned i = 0; i < n; i++) {
                memcpy(&v, part[i].value, 4);
                bits |= (v ? 1u : 0u) << i;
            }
            for (unsigned i = 0; i < n; i++) memcpy(part[i].value, &bits, 4);
        } else if (c.operation >= MSL_SHUFFLE) {
            move_values(part, n, c);
        } else {
            reduce_all(part, n, c);
        }
    }
}
