/* From text to masks: units and chunks, the working memory of a call, and the walk of the automaton. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "_index.h"

static inline int continuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

/* End of the unit that starts at pos; *cut is set where the unit is longer than a block and was cut. */
static size_t unit_end(const uint8_t *d, size_t pos, size_t n, size_t block, int *cut)
{
    size_t limit = n - pos < block ? n : pos + block;
    const uint8_t *newline = memchr(d + pos, '\n', limit - pos);
    size_t end = newline ? (size_t)(newline - d) : limit;
    while (end < limit && d[end] == '\n') end++;
    *cut = 0;
    if (end < limit || end == n) return end;
    if (newline && d[end] != '\n') return end; /* exactly a block long */
    *cut = 1;
    size_t back = 0;
    while (back < 3 && continuation(d[end - back])) back++;
    return continuation(d[end - back]) ? end : end - back;
}

typedef struct Scratch {
    uint32_t *state;  /* per byte: slot */
    uint16_t *mask;   /* per byte: lengths that may be used */
    uint8_t *length;  /* per byte: length of the best segment that ends here */
    int32_t *ahead;   /* per byte and the end: cost from the start; for general costs and measures */
    int32_t *back;    /* per byte and the end: cost to the end; for measures */
    uint32_t *cuts;
    size_t cut_count;
    size_t size;      /* bytes there is room for, and 64 more for what runs idle */
    uint32_t *uses;         /* per piece: uses in the lists being made, 0 between calls */
    struct Scratch *next;   /* among the spare ones */
} Scratch;

static void free_scratch(Scratch *w)
{
    free(w->state); free(w->mask); free(w->length); free(w->back); free(w->ahead); free(w->cuts); free(w->uses);
    memset(w, 0, sizeof *w);
}

static int make_scratch(Scratch *w, size_t block, size_t n, int measures)
{
    memset(w, 0, sizeof *w);
    size_t size = CHUNK + block;
    if (n < size) size = n;
    w->size = size;
    w->state = malloc((size + 1) * sizeof(uint32_t));
    w->mask = calloc(size + 64, sizeof(uint16_t));
    w->length = malloc(size + 64);
    w->cuts = malloc((CHUNK / (block - 3) + 2) * sizeof(uint32_t));
    if (measures & 1) w->ahead = malloc((size + 1) * sizeof(int32_t));
    if (measures & 2) w->back = malloc((size + 1) * sizeof(int32_t));
    if (!w->state || !w->mask || !w->length || !w->cuts || ((measures & 1) && !w->ahead) ||
        ((measures & 2) && !w->back)) {
        free_scratch(w);
        return -1;
    }
    return 0;
}

/* Gathers whole units from pos until a chunk is full; returns its end. */
static size_t next_chunk(Scratch *w, const uint8_t *d, size_t pos, size_t n, size_t block)
{
    size_t end = pos;
    w->cut_count = 0;
    while (end < n && end - pos < CHUNK) {
        int cut;
        end = unit_end(d, end, n, block, &cut);
        if (cut) w->cuts[w->cut_count++] = (uint32_t)(end - pos);
    }
    return end;
}

/* One attempt to read a byte: on a miss the state falls back and the position stays. */
#define STEP(s, p)                                                    \
    do {                                                              \
        uint64_t here_ = slots[s];                                    \
        uint8_t byte_ = d[p];                                         \
        uint32_t next_ = BASE(here_) ^ byte_;                         \
        uint32_t hit_ = LABEL(slots[next_]) == byte_;                 \
        s = hit_ ? next_ : FAIL(here_);                               \
        state[p] = s;                                                 \
        p += (ptrdiff_t)hit_;                                         \
    } while (0)

/* The state behind a byte, with a branch: right for one text by itself, where a guess hides what a miss costs. */
static inline uint32_t step(const uint64_t *slots, uint32_t s, uint8_t byte)
{
    uint32_t next;
    while (next = BASE(slots[s]) ^ byte, LABEL(slots[next]) != byte) s = FAIL(slots[s]);
    return next;
}

static void walk(const Index *x, const uint8_t *d, size_t n, uint32_t *state)
{
    const uint64_t *slots = x->slots;
    ptrdiff_t last[LANES], p[LANES];
    uint32_t s[LANES];
    size_t stretch = n / LANES, lanes = stretch < 64 ? 1 : LANES;
    for (size_t k = 0; k < lanes; k++) {
        size_t end = k + 1 == lanes ? n : (k + 1) * stretch;
        size_t begin = k * stretch;
        last[k] = (ptrdiff_t)end;
        p[k] = (ptrdiff_t)(k ? begin - (LONGEST - 1) : 0); /* what is written before `begin` is written again later */
        s[k] = 0;
    }
    while (lanes == LANES) {
        ptrdiff_t rounds = last[0] - p[0];
        for (size_t k = 1; k < LANES; k++)
            if (last[k] - p[k] < rounds) rounds = last[k] - p[k];
        if (rounds < 4) break;
        uint32_t s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3], s4 = s[4], s5 = s[5], s6 = s[6], s7 = s[7];
        ptrdiff_t p0 = p[0], p1 = p[1], p2 = p[2], p3 = p[3], p4 = p[4], p5 = p[5], p6 = p[6], p7 = p[7];
        for (; rounds; rounds--) {
            STEP(s0, p0); STEP(s1, p1); STEP(s2, p2); STEP(s3, p3);
            STEP(s4, p4); STEP(s5, p5); STEP(s6, p6); STEP(s7, p7);
        }
        s[0] = s0; s[1] = s1; s[2] = s2; s[3] = s3; s[4] = s4; s[5] = s5; s[6] = s6; s[7] = s7;
        p[0] = p0; p[1] = p1; p[2] = p2; p[3] = p3; p[4] = p4; p[5] = p5; p[6] = p6; p[7] = p7;
    }
    for (size_t k = 0; k < lanes; k++)
        for (uint32_t sk = s[k]; p[k] < last[k]; p[k]++) state[p[k]] = sk = step(slots, sk, d[p[k]]);
}

static void find_masks(const Index *x, Scratch *w, const uint8_t *d, size_t n)
{
    walk(x, d, n, w->state);
    for (size_t i = 0; i < n; i++) w->mask[i] = x->mask[w->state[i]];
    for (size_t c = 0; c < w->cut_count; c++) { /* nothing crosses a cut */
        size_t cut = w->cuts[c];
        for (size_t right = 0; right < LONGEST - 1 && cut + right < n; right++)
            w->mask[cut + right] &= (uint16_t)((2u << right) - 1);
    }
}
