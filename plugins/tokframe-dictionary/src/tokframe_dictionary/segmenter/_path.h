/* From masks to the cheapest path, in vector code where there is some, and the measures that pruning asks for. */
#pragma once

#include "_walk.h"

/* Any costs: ahead[i] = min over lengths l of cost + ahead[i - l]; by the tie rule, the longest of equals. */
static void path_any(const Index *x, Scratch *w, size_t n)
{
    int32_t *ahead = w->ahead;
    ahead[0] = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t allowed = w->mask[i], best_length = 0, full = x->mask[w->state[i]];
        const uint32_t *list = x->lists + x->list[w->state[i]];
        int32_t best = INT32_MAX;
        for (; allowed; allowed &= allowed - 1) {
            uint32_t l = TRAILING(allowed);
            int32_t cost = ahead[i - l];
            cost += x->costs ? x->costs[list[POPCOUNT(full & ((1u << l) - 1))]] : 1;
            if (cost <= best) { best = cost; best_length = l + 1; }
        }
        ahead[i + 1] = best;
        w->length[i] = (uint8_t)best_length;
    }
}

/* Unit costs need only the last 16 of them, and only relative to each other. */
static void path_plain(const uint16_t *mask, uint8_t *length, size_t n)
{
    int32_t window[LONGEST] = {0}; /* cost of all up to byte i, at i & 15 */
    for (size_t i = 0; i < n; i++) {
        uint32_t allowed = mask[i], best_length = 0;
        int32_t best = INT32_MAX;
        for (; allowed; allowed &= allowed - 1) {
            uint32_t l = TRAILING(allowed) + 1;
            int32_t cost = window[(i - l) & 15];
            if (cost <= best) { best = cost; best_length = l; }
        }
        window[i & 15] = best + 1;
        length[i] = (uint8_t)best_length;
    }
}

#if HAVE_SSE41
/* The window is a register of 16 bytes, lane l-1 = cost at i - l.  Costs of neighbours differ by at most 32, so bytes
 * suffice when they are brought back to a middle value every 64 steps. */
#define PATH_STEP(window, i)                                                                     \
    do {                                                                                         \
        __m128i m_ = _mm_shuffle_epi8(_mm_cvtsi32_si128(mask[i]), spread);                       \
        __m128i v_ = _mm_or_si128(window, _mm_cmpeq_epi8(_mm_and_si128(m_, bits), zero));        \
        __m128i r_ = _mm_shuffle_epi8(_mm_minpos_epu16(_mm_min_epu8(v_, _mm_srli_epi16(v_, 8))), zero); \
        window = _mm_alignr_epi8(window, _mm_add_epi8(r_, one), 15);                             \
        length[i] = (uint8_t)(LEADING16((uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v_, r_))) + 1); \
    } while (0)

/* End of a part that begins at `from` and holds `size` bytes or some more: no segment crosses a line end or a cut. */
static size_t part_end(const Scratch *w, const uint8_t *d, size_t from, size_t size, size_t n, size_t *cut)
{
    if (n - from <= size) return n;
    size_t least = from + size;
    while (*cut < w->cut_count && w->cuts[*cut] < least) ++*cut;
    size_t limit = *cut < w->cut_count ? w->cuts[*cut] : n;
    const uint8_t *newline = memchr(d + least, '\n', limit - least);
    size_t end = newline ? (size_t)(newline - d) : limit;
    while (end < limit && d[end] == '\n') end++;
    return end;
}

#define PATH_CONSTANTS                                                                                              \
    const __m128i spread = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);                           \
    const __m128i bits = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);                 \
    const __m128i zero = _mm_setzero_si128(), one = _mm_set1_epi8(1), middle = _mm_set1_epi8(64)
#define REBASE(window) window = _mm_add_epi8(_mm_sub_epi8(window, _mm_shuffle_epi8(window, zero)), middle)

/* Four parts of a chunk side by side, each in a register of its own: one's latency hides the others'. */
__attribute__((target("sse4.1"))) static void path_sse41(Scratch *w, const uint8_t *d, size_t n)
{
    PATH_CONSTANTS;
    const uint16_t *mask = w->mask;
    uint8_t *length = w->length;
    const size_t size = n / 32 < 64 ? 64 : n / 32;
    __m128i window[4];
    size_t at[4] = {0, 0, 0, 0}, end[4] = {0, 0, 0, 0}, given = 0, cut = 0;
    for (;;) {
        size_t steps = 64;
        int busy = 0;
        for (int k = 0; k < 4; k++) {
            if (at[k] == end[k]) { /* this lane's part is done: it takes the next, or runs idle beside the others */
                at[k] = given < n ? given : w->size;
                end[k] = given < n ? (given = part_end(w, d, given, size, n, &cut)) : w->size + 64;
                window[k] = middle;
            }
            busy |= at[k] < n;
            if (end[k] - at[k] < steps) steps = end[k] - at[k];
        }
        if (!busy) break;
        __m128i w0 = window[0], w1 = window[1], w2 = window[2], w3 = window[3];
        size_t i0 = at[0], i1 = at[1], i2 = at[2], i3 = at[3];
        for (size_t k = 0; k < steps; k++) {
            PATH_STEP(w0, i0 + k);
            PATH_STEP(w1, i1 + k);
            PATH_STEP(w2, i2 + k);
            PATH_STEP(w3, i3 + k);
        }
        REBASE(w0);
        REBASE(w1);
        REBASE(w2);
        REBASE(w3);
        window[0] = w0; window[1] = w1; window[2] = w2; window[3] = w3;
        for (int k = 0; k < 4; k++) at[k] += steps;
    }
}

/* Walk and minimum of a short text in one loop: with nothing beside it, either waits for itself most of the time. */
__attribute__((target("sse4.1"))) static void search_short_sse41(const Index *x, Scratch *w, const uint8_t *d, size_t n)
{
    PATH_CONSTANTS;
    uint16_t *mask = w->mask;
    uint8_t *length = w->length;
    __m128i window = middle;
    uint32_t s = 0;
    for (size_t i = 0; i < n; i++) {
        s = step(x->slots, s, d[i]);
        w->state[i] = s;
        mask[i] = x->mask[s];
        PATH_STEP(window, i);
        if (i % 64 == 63) REBASE(window);
    }
}
#endif

#if HAVE_NEON
static void path_neon(const uint16_t *mask, uint8_t *length, size_t n)
{
    static const uint8_t bit_of[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    static const uint8_t number_of[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    const uint8x16_t bits = vld1q_u8(bit_of), numbers = vld1q_u8(number_of);
    uint8x16_t window = vdupq_n_u8(64);
    size_t i = 0;
    while (i < n) {
        size_t stop = i + 64 < n ? i + 64 : n;
        for (; i < stop; i++) {
            uint8x16_t m = vcombine_u8(vdup_n_u8((uint8_t)mask[i]), vdup_n_u8((uint8_t)(mask[i] >> 8)));
            uint8x16_t v = vornq_u8(window, vtstq_u8(m, bits));
            uint8x16_t r = vdupq_n_u8(vminvq_u8(v));
            window = vextq_u8(vaddq_u8(r, vdupq_n_u8(1)), window, 15);
            length[i] = vmaxvq_u8(vandq_u8(vceqq_u8(v, r), numbers));
        }
        window = vsubq_u8(window, vdupq_n_u8((uint8_t)(vgetq_lane_u8(window, 0) - 64)));
    }
}
#endif

static void find_path(const Index *x, Scratch *w, const uint8_t *d, size_t n)
{
    if (x->costs || w->ahead) { path_any(x, w, n); return; }
#if HAVE_SSE41
    if (__builtin_cpu_supports("sse4.1")) { path_sse41(w, d, n); return; }
#elif HAVE_NEON
    path_neon(w->mask, w->length, n);
    return;
#endif
    path_plain(w->mask, w->length, n);
}

/* A text that is shorter than a block and has no costs. */
static void search_short(const Index *x, Scratch *w, const uint8_t *d, size_t n)
{
#if HAVE_SSE41
    if (__builtin_cpu_supports("sse4.1")) { search_short_sse41(x, w, d, n); return; }
#endif
    uint32_t s = 0;
    for (size_t i = 0; i < n; i++) {
        s = step(x->slots, s, d[i]);
        w->state[i] = s;
        w->mask[i] = x->mask[s];
    }
    find_path(x, w, d, n);
}

/* The segment of a length that ends with byte i. */
static inline uint32_t piece_at(const Index *x, const Scratch *w, size_t i, uint32_t length)
{
    uint32_t s = w->state[i];
    return x->lists[x->list[s] + POPCOUNT(x->mask[s] & ((1u << (length - 1)) - 1))];
}

/* Writes the pieces of the best path, which is known from its end, up to `write` from behind; returns the first.  What a
 * cut took from a byte's mask are lengths above the one used, so the mask counts as well as the state's own. */
#define TRACE(name, count)                                                                                 \
    static int32_t *name(const Index *x, const Scratch *w, size_t n, int32_t *write)                       \
    {                                                                                                      \
        for (size_t i = n; i > 0;) {                                                                       \
            uint32_t length = w->length[i - 1];                                                            \
            uint32_t shorter = (uint32_t)count(w->mask[i - 1] & ((1u << (length - 1)) - 1));               \
            *--write = (int32_t)x->lists[x->list[w->state[i - 1]] + shorter];                              \
            i -= length;                                                                                   \
        }                                                                                                  \
        return write;                                                                                      \
    }

TRACE(trace_plain, POPCOUNT)
#if HAVE_SSE41
__attribute__((target("popcnt"))) TRACE(trace_popcnt, __builtin_popcount)
#endif

static int32_t *trace(const Index *x, const Scratch *w, size_t n, int32_t *write)
{
#if HAVE_SSE41
    if (__builtin_cpu_supports("popcnt")) return trace_popcnt(x, w, n, write);
#endif
    return trace_plain(x, w, n, write);
}

/* Adds, for one chunk, to each segment: uses on the best path, and what the text would cost more without this one
 * use (every path covers the segment's last byte, so the best path that avoids the segment is a minimum over the
 * edges that cover that byte). */
static void measure(const Index *x, Scratch *w, size_t n, int64_t *use, int64_t *loss)
{
    int32_t *back = w->back, *ahead = w->ahead;
    for (size_t i = 0; i < n; i++) back[i] = INT32_MAX / 2;
    back[n] = 0;
    for (size_t i = n; i-- > 0;) {
        uint32_t full = x->mask[w->state[i]], allowed = w->mask[i];
        const uint32_t *list = x->lists + x->list[w->state[i]];
        for (; allowed; allowed &= allowed - 1) {
            uint32_t l = TRAILING(allowed);
            int32_t cost = back[i + 1] + (x->costs ? x->costs[list[POPCOUNT(full & ((1u << l) - 1))]] : 1);
            if (cost < back[i - l]) back[i - l] = cost;
        }
    }
    int32_t total = ahead[n];
    for (size_t i = n; i > 0; i -= w->length[i - 1]) {
        size_t byte = i - 1;
        uint32_t mine = w->length[byte], piece = piece_at(x, w, byte, mine);
        use[piece]++;
        if (mine == 1) continue;
        int32_t other = INT32_MAX;
        for (size_t u = byte; u < n && u < byte + LONGEST; u++) {
            uint32_t allowed = w->mask[u] >> (u - byte) << (u - byte), full = x->mask[w->state[u]];
            const uint32_t *list = x->lists + x->list[w->state[u]];
            if (u == byte) allowed &= ~(1u << (mine - 1));
            for (; allowed; allowed &= allowed - 1) {
                uint32_t l = TRAILING(allowed);
                int32_t cost = ahead[u - l] + back[u + 1];
                cost += x->costs ? x->costs[list[POPCOUNT(full & ((1u << l) - 1))]] : 1;
                if (cost < other) other = cost;
            }
        }
        loss[piece] += other - total;
    }
}
