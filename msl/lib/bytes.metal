// Weights that stand in the bytes of a word: what formats of 5 and 6 bits with scales of 6 and 8 bits share.
// A byte is left where it stands in its word, which saves the shift; LOW and HIGH undo the power of two exactly.
constant float4 LOW = float4(1.0f, 0.00390625f, 1.52587890625e-5f, 5.9604644775390625e-8f);
constant float4 HIGH = float4(1.0f, 0.00390625f, 1.52587890625e-5f, 5.9604644775390625e-8f);
constant constexpr bool SPREAD = true;
constant constexpr bool HAS_SCALE = true;
constant constexpr bool HAS_MINIMUM = true;

// Bytes below 128: as they stand the topmost is no negative int.
static inline float4 bytes(uint word) {
    return float4(int4(uint4(word) & uint4(0x7Fu, 0x7F00u, 0x7F0000u, 0x7F000000u)));
}

// The words of part `part` of a block.
static inline uint2 words(device const uint* quants, uint block, uint part) {
    return ((device const uint2*)quants)[2u * block + part];
}
