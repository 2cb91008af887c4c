// Weights that are numbers as they stand: what formats without scales share.
constant float4 LOW = float4(1.0f);
constant float4 HIGH = float4(1.0f);
constant constexpr bool SPREAD = false;
constant constexpr bool HALVES = false;
constant constexpr bool HAS_SCALE = false;
constant constexpr bool HAS_MINIMUM = false;
