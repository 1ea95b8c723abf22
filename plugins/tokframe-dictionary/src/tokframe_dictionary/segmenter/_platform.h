/* What differs between compilers and processors: bits, hints to the processor, which vector code there can be. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_SSE41 1
#include <immintrin.h>
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_NEON 1
#include <arm_neon.h>
#endif

#if defined(__GNUC__) || defined(__clang__)
#define TRAILING(x) ((uint32_t)__builtin_ctz(x))
#define LEADING16(x) (31u - (uint32_t)__builtin_clz(x)) /* index of the highest set bit */
#define TRAILING64(x) ((uint32_t)__builtin_ctzll(x))
#define PREFETCH(address) __builtin_prefetch(address, 1)
#define PREFETCH_READ(address) __builtin_prefetch(address, 0)
#define LIKELY(x) __builtin_expect(!!(x), 1)
#else
#define PREFETCH(address) ((void)0)
#define PREFETCH_READ(address) ((void)0)
#define LIKELY(x) (x)
static inline uint32_t TRAILING64(uint64_t x)
{
    uint32_t n = 0;
    while (!(x & 1)) { x >>= 1; n++; }
    return n;
}
static inline uint32_t TRAILING(uint32_t x) { return TRAILING64(x); }
static inline uint32_t LEADING16(uint32_t x)
{
    uint32_t n = 0;
    while (x >>= 1) n++;
    return n;
}
#endif

/* Set bits of 16: inline, because without a build for one processor the compiler's own is a function call. */
static inline uint32_t POPCOUNT(uint32_t x)
{
    x -= x >> 1 & 0x5555;
    x = (x & 0x3333) + (x >> 2 & 0x3333);
    x = (x + (x >> 4)) & 0x0f0f;
    return (x + (x >> 8)) & 0x1f;
}

enum { LONGEST = 16, LANES = 8, AHEAD = 12, SHORT = 512, CHUNK = 16384, FREE = 0xffffffffu };
