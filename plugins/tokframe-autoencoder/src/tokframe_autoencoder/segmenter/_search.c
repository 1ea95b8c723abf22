/* The search over the vocabulary, compiled: an automaton over the segments, and the fewest-tokens path.
 *
 * The text is read by an Aho-Corasick automaton of the segments, so one state per byte tells which segments END there
 * (a 16-bit mask of lengths).  A state depends on at most 16 bytes, hence several stretches of one text are walked in
 * lockstep after a warm-up of 15 bytes, without a branch to mispredict.  The path is a forward minimum over a window
 * of 16 costs; among equal paths the longest segment wins at each position from the right, as in unigram models.
 * No segment holds a newline before another byte, so lines separate by themselves; only cuts of overlong lines are
 * enforced.  Plain C11; vector code is chosen at run time.  The oracle is reference.py.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
#else
#define PREFETCH(address) ((void)0)
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

enum { LONGEST = 16, LANES = 8, AHEAD = 12, CHUNK = 16384, FREE = 0xffffffffu };

/* One node while the double array is built: the child of `parent` by byte c lies at slot base[parent] ^ c and has
 * check == base[parent]; no two nodes share a base. */
typedef struct {
    uint32_t check, base, fail, list;
} Slot;

/* The same for the walk, in 8 bytes, so that the busy part fits a cache: fail (28 bits), base (28), label (8).
 * As bases are unique, "the slot at base ^ c has label c" says as much as the check does. */
#define PACK(fail, base, label) ((uint64_t)(fail) << 36 | (uint64_t)(base) << 8 | (label))
#define FAIL(packed) ((uint32_t)((packed) >> 36))
#define BASE(packed) ((uint32_t)((packed) >> 8) & 0xfffffffu)
#define LABEL(packed) ((uint8_t)(packed))

typedef struct {
    PyObject_HEAD
    uint64_t *slots;     /* per slot: packed */
    uint32_t *list;      /* per slot: where its run in `lists` starts */
    uint16_t *mask;      /* per slot: bit l-1 set where a segment of length l ends */
    uint32_t *lists;     /* piece numbers by increasing length, one run per terminal slot */
    uint32_t *order;     /* slots in breadth-first order (fail before user) */
    uint32_t *terminal;  /* per entry of order: piece number + 1, or 0 */
    uint8_t *lengths;    /* per piece */
    int32_t *ids;        /* per piece */
    int32_t *costs;      /* per piece, NULL where all are 1 */
    PyObject **numbers;  /* per piece: its id as a Python int, made when the first list is asked for */
    size_t slot_count, node_count, piece_count, list_count;
    Py_ssize_t block;
    struct Scratch *spare; /* working memory of calls that are over, for the next; touched under the GIL alone */
} Index;

/* ------------------------------------------------------------------ building */

typedef struct {
    uint64_t hi, lo;
    uint32_t piece;
    uint32_t length;
} Key;

static int compare_keys(const void *a, const void *b)
{
    const Key *x = a, *y = b;
    if (x->hi != y->hi) return x->hi < y->hi ? -1 : 1;
    if (x->lo != y->lo) return x->lo < y->lo ? -1 : 1;
    return x->length < y->length ? -1 : x->length > y->length;
}

static inline uint32_t key_byte(const Key *k, uint32_t i)
{
    return (uint32_t)(((i < 8 ? k->hi : k->lo) >> (56 - 8 * (i & 7))) & 0xff);
}

typedef struct {
    Slot *slots;
    uint64_t *taken;     /* bit per slot: occupied */
    uint64_t *based;     /* bit per slot: used as a base */
    size_t count, capacity, open; /* slots; blocks before `open` are not searched any more */
} Array;

static int grow_array(Array *a)
{
    if (a->count >= (size_t)1 << 28) return -1; /* PACK has no more bits */
    if (a->count + 256 > a->capacity) {
        size_t capacity = a->capacity ? a->capacity + a->capacity / 2 : 65536;
        capacity = (capacity + 255) & ~(size_t)255;
        Slot *slots = realloc(a->slots, capacity * sizeof(Slot));
        if (!slots) return -1;
        a->slots = slots;
        uint64_t *taken = realloc(a->taken, capacity / 8);
        if (!taken) return -1;
        a->taken = taken;
        uint64_t *based = realloc(a->based, capacity / 8);
        if (!based) return -1;
        a->based = based;
        a->capacity = capacity;
    }
    for (size_t i = 0; i < 256; i++) a->slots[a->count + i] = (Slot){FREE, 0, 0, 0};
    memset(a->taken + a->count / 64, 0, 32);
    memset(a->based + a->count / 64, 0, 32);
    a->count += 256;
    return 0;
}

static inline int bit(const uint64_t *bits, size_t i) { return (int)(bits[i >> 6] >> (i & 63) & 1); }
static inline void set_bit(uint64_t *bits, size_t i) { bits[i >> 6] |= (uint64_t)1 << (i & 63); }

/* A base, unused by other nodes, at which all children find a free slot; FREE when memory ran out. */
static uint32_t find_base(Array *a, const uint8_t *children, uint32_t n)
{
    for (size_t block = a->open;; block += 256) {
        if (block == a->count) {
            if (grow_array(a)) return FREE;
            /* A node gives up on a block only after trying it whole; old blocks are left after 8 newer ones. */
            if (a->count > a->open + 8 * 256) a->open += 256;
        }
        for (uint32_t word = 0; word < 4; word++) {
            uint64_t vacant = ~a->taken[block / 64 + word];
            while (vacant) {
                uint32_t b = TRAILING64(vacant);
                vacant &= vacant - 1;
                size_t base = (block + word * 64 + b) ^ children[0];
                if (bit(a->based, base)) continue;
                uint32_t k = 1;
                while (k < n && !bit(a->taken, base ^ children[k])) k++;
                if (k == n) return (uint32_t)base;
            }
        }
    }
}

typedef struct {
    uint32_t lo, hi, slot, parent;
    uint8_t byte;
} Node;

static void release_tables(Index *x)
{
    free(x->slots); free(x->list); free(x->mask); free(x->lists); free(x->order);
    free(x->terminal); free(x->lengths); free(x->ids); free(x->costs);
    x->slots = NULL; x->list = NULL; x->mask = NULL; x->lists = x->order = x->terminal = NULL;
    x->lengths = NULL; x->ids = x->costs = NULL;
}

/* Fills the tables of x from sorted keys.  0; -1 out of memory; -2 duplicate (piece in *where); -3 a byte is missing. */
static int build(Index *x, Key *keys, size_t n, uint32_t *where)
{
    Array a = {0};
    Node *nodes = NULL;
    uint32_t *fails = NULL;
    size_t capacity = 0, count = 0;
    int rc = -1;
    for (size_t i = 1; i < n; i++)
        if (!compare_keys(&keys[i - 1], &keys[i])) { *where = keys[i].piece; return -2; }
    capacity = n * 4 + 1024;
    nodes = malloc(capacity * sizeof(Node));
    if (!nodes || grow_array(&a)) goto done;
    set_bit(a.taken, 0);
    nodes[count++] = (Node){0, (uint32_t)n, 0, 0, 0};
    size_t level = 0, level_end = 1;
    x->terminal = malloc(capacity * sizeof(uint32_t));
    if (!x->terminal) goto done;
    for (uint32_t depth = 0; level < count; depth++) {
        for (; level < level_end; level++) {
            Node node = nodes[level];
            uint32_t lo = node.lo, hi = node.hi;
            x->terminal[level] = 0;
            if (depth && lo < hi && keys[lo].length == depth) x->terminal[level] = keys[lo++].piece + 1;
            uint8_t children[256];
            uint32_t starts[257], k = 0;
            for (uint32_t i = lo; i < hi;) {
                uint32_t byte = key_byte(&keys[i], depth);
                children[k] = (uint8_t)byte;
                starts[k++] = i;
                /* Gallop to the first key with another byte here. */
                uint32_t step = 1, good = i;
                while (good + step < hi && key_byte(&keys[good + step], depth) == byte) { good += step; step *= 2; }
                while (step) {
                    if (good + step < hi && key_byte(&keys[good + step], depth) == byte) good += step;
                    step /= 2;
                }
                i = good + 1;
            }
            starts[k] = hi;
            if (!depth && k < 256) { rc = -3; goto done; }
            if (!k) continue; /* a leaf takes over its fail's transitions below */
            uint32_t base = find_base(&a, children, k);
            if (base == FREE) goto done;
            set_bit(a.based, base);
            a.slots[node.slot].base = base;
            if (count + k > capacity) {
                capacity = capacity * 3 / 2 + k;
                Node *more = realloc(nodes, capacity * sizeof(Node));
                if (!more) goto done;
                nodes = more;
                uint32_t *room = realloc(x->terminal, capacity * sizeof(uint32_t));
                if (!room) goto done;
                x->terminal = room;
            }
            for (uint32_t c = 0; c < k; c++) {
                uint32_t slot = base ^ children[c];
                set_bit(a.taken, slot);
                a.slots[slot].check = base;
                a.slots[slot].base = FREE; /* no children yet */
                nodes[count++] = (Node){starts[c], starts[c + 1], slot, (uint32_t)level, children[c]};
            }
        }
        level_end = count;
    }
    Slot *slots = a.slots;
    x->slot_count = a.count;
    x->node_count = count;
    x->mask = calloc(a.count, sizeof(uint16_t));
    x->order = malloc(count * sizeof(uint32_t));
    fails = malloc(a.count * sizeof(uint32_t));
    x->slots = malloc(a.count * sizeof(uint64_t));
    x->list = malloc(a.count * sizeof(uint32_t));
    if (!x->slots || !x->list || !x->mask || !x->order || !fails) goto done;
    /* Fail links: the longest proper suffix that is a node.  Leaves then act as the node they fail to. */
    size_t listed = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t s = nodes[i].slot, piece = x->terminal[i], f = 0;
        x->order[i] = s;
        if (nodes[i].parent) {
            uint32_t p = nodes[nodes[i].parent].slot;
            f = slots[p].fail;
            for (;;) {
                uint32_t t = slots[f].base ^ nodes[i].byte;
                if (slots[t].check == slots[f].base) { f = t; break; }
                f = slots[f].fail;
            }
        }
        slots[s].fail = f;
        fails[s] = f;
        if (slots[s].base == FREE) {
            slots[s].base = slots[f].base;
            slots[s].fail = slots[f].fail;
        }
        x->mask[s] = i ? x->mask[f] : 0;
        if (piece) {
            x->mask[s] |= (uint16_t)(1u << (x->lengths[piece - 1] - 1));
            listed += POPCOUNT(x->mask[s]);
        }
    }
    x->list_count = listed;
    x->lists = malloc((listed ? listed : 1) * sizeof(uint32_t));
    if (!x->lists) goto done;
    listed = 0;
    for (size_t i = 1; i < count; i++) {
        uint32_t s = x->order[i], piece = x->terminal[i], f = fails[s];
        if (!piece) { slots[s].list = slots[f].list; continue; }
        uint32_t inherited = POPCOUNT(x->mask[s]) - 1;
        if (inherited) memcpy(x->lists + listed, x->lists + slots[f].list, inherited * sizeof(uint32_t));
        slots[s].list = (uint32_t)listed;
        listed += inherited;
        x->lists[listed++] = piece - 1;
    }
    for (size_t block = 0; block < a.count; block += 256) {
        /* A vacant slot gets the label it would have under a base that nobody uses, so no step hits it. */
        size_t unused = block;
        while (unused < block + 256 && bit(a.based, unused)) unused++;
        for (size_t t = block; t < block + 256; t++) {
            int vacant = slots[t].check == FREE; /* the root too: it is nobody's child */
            uint8_t label = (uint8_t)(t ^ (vacant ? unused : slots[t].check));
            x->slots[t] = PACK(slots[t].fail, slots[t].base, label);
            x->list[t] = slots[t].list;
        }
    }
    free(x->order); free(x->terminal);
    x->order = x->terminal = NULL;
    rc = 0;
done:
    free(a.slots); free(a.taken); free(a.based); free(nodes); free(fails);
    return rc;
}

/* ------------------------------------------------------------------ cutting text into units and chunks */

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
    size_t cut_count, half; /* half: where a unit begins near the middle of the chunk */
    struct Scratch *next;   /* among the spare ones */
} Scratch;

static void free_scratch(Scratch *w)
{
    free(w->state); free(w->mask); free(w->length); free(w->back); free(w->ahead); free(w->cuts);
    memset(w, 0, sizeof *w);
}

static int make_scratch(Scratch *w, size_t block, size_t n, int measures)
{
    memset(w, 0, sizeof *w);
    size_t size = CHUNK + block;
    if (n < size) size = n;
    w->state = malloc((size + 1) * sizeof(uint32_t));
    w->mask = malloc((size + 1) * sizeof(uint16_t));
    w->length = malloc(size + 1);
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
    w->cut_count = w->half = 0;
    while (end < n && end - pos < CHUNK) {
        int cut;
        end = unit_end(d, end, n, block, &cut);
        if (end - pos <= CHUNK / 2) w->half = end - pos;
        if (cut) w->cuts[w->cut_count++] = (uint32_t)(end - pos);
    }
    return end;
}

/* ------------------------------------------------------------------ walking: text -> states -> masks */

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
        p[k] = (ptrdiff_t)begin;
        s[k] = 0;
        for (size_t i = begin < LONGEST ? 0 : begin - (LONGEST - 1); i < begin;) {
            uint32_t next = BASE(slots[s[k]]) ^ d[i];
            if (LABEL(slots[next]) == d[i]) { s[k] = next; i++; }
            else s[k] = FAIL(slots[s[k]]);
        }
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
    for (size_t k = 0; k < lanes; k++) {
        uint32_t sk = s[k];
        ptrdiff_t pk = p[k];
        while (pk < last[k]) STEP(sk, pk);
    }
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

/* ------------------------------------------------------------------ the cheapest path */

/* Any costs: ahead[i] = min over lengths l of cost + ahead[i - l]; the longest of equals. */
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

/* Bytes `half` and up need nothing of those before, so both parts run side by side: one's latency hides the other's. */
__attribute__((target("sse4.1"))) static void path_sse41(const uint16_t *mask, uint8_t *length, size_t half, size_t n)
{
    const __m128i spread = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    const __m128i bits = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
    const __m128i zero = _mm_setzero_si128(), one = _mm_set1_epi8(1), middle = _mm_set1_epi8(64);
    __m128i low = middle, high = middle;
    size_t i = 0, j = half;
#define REBASE(window) window = _mm_add_epi8(_mm_sub_epi8(window, _mm_shuffle_epi8(window, zero)), middle)
    while (i + 64 <= half && j + 64 <= n) {
        for (int k = 0; k < 64; k++) {
            PATH_STEP(low, i);
            PATH_STEP(high, j);
            i++;
            j++;
        }
        REBASE(low);
        REBASE(high);
    }
    while (j < n) {
        for (size_t stop = j + 64 < n ? j + 64 : n; j < stop; j++) PATH_STEP(high, j);
        REBASE(high);
    }
    while (i < half) {
        for (size_t stop = i + 64 < half ? i + 64 : half; i < stop; i++) PATH_STEP(low, i);
        REBASE(low);
    }
#undef REBASE
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

static void find_path(const Index *x, Scratch *w, size_t n)
{
    if (x->costs || w->ahead) { path_any(x, w, n); return; }
#if HAVE_SSE41
    if (__builtin_cpu_supports("sse4.1")) { path_sse41(w->mask, w->length, w->half, n); return; }
#elif HAVE_NEON
    path_neon(w->mask, w->length, n);
    return;
#endif
    path_plain(w->mask, w->length, n);
}

/* The segment of a length that ends with byte i. */
static inline uint32_t piece_at(const Index *x, const Scratch *w, size_t i, uint32_t length)
{
    uint32_t s = w->state[i];
    return x->lists[x->list[s] + POPCOUNT(x->mask[s] & ((1u << (length - 1)) - 1))];
}

/* ------------------------------------------------------------------ measures for pruning */

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

/* ------------------------------------------------------------------ the Python type */

typedef struct {
    Py_buffer view;
    int held;
} Held;

static int hold(PyObject *object, Held *h, int flags)
{
    h->held = !PyObject_GetBuffer(object, &h->view, flags);
    return h->held ? 0 : -1;
}

static void let_go(Held *h)
{
    if (h->held) PyBuffer_Release(&h->view);
    h->held = 0;
}

/* A buffer of `count` items of `size` bytes (any count where count < 0). */
static int hold_items(PyObject *object, Held *h, Py_ssize_t size, Py_ssize_t count, int writable, const char *name)
{
    if (hold(object, h, writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO)) return -1;
    if (h->view.itemsize != size || (count >= 0 && h->view.len != count * size)) {
        PyErr_Format(PyExc_ValueError, "%s: expected %zd items of %zd bytes, got %zd bytes in items of %zd", name,
                     count, size, h->view.len, h->view.itemsize);
        let_go(h);
        return -1;
    }
    return 0;
}

static void Index_dealloc(Index *x)
{
    if (x->numbers) {
        for (size_t i = 0; i < x->piece_count; i++) Py_XDECREF(x->numbers[i]);
        free(x->numbers);
    }
    while (x->spare) {
        struct Scratch *w = x->spare;
        x->spare = w->next;
        free_scratch(w);
        free(w);
    }
    release_tables(x);
    PyTypeObject *type = Py_TYPE(x);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    release(x);
    Py_DECREF(type);
}

static PyObject *Index_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"blob", "offsets", "ids", "costs", "block", NULL};
    PyObject *blob_object, *offsets_object, *ids_object, *costs_object = Py_None;
    Py_ssize_t block = 4096;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|On", names, &blob_object, &offsets_object, &ids_object,
                                     &costs_object, &block))
        return NULL;
    if (block < LONGEST) {
        PyErr_Format(PyExc_ValueError, "block must be at least %d bytes, got %zd", LONGEST, block);
        return NULL;
    }
    Held blob = {0}, offsets = {0}, ids = {0}, costs = {0};
    Key *keys = NULL;
    Index *x = NULL;
    int failed = 1;
    if (hold(blob_object, &blob, PyBUF_CONTIG_RO)) goto done;
    if (hold_items(offsets_object, &offsets, 8, -1, 0, "offsets")) goto done;
    Py_ssize_t n = offsets.view.len / 8 - 1;
    if (n < 256 || n > (Py_ssize_t)1 << 27) {
        PyErr_Format(PyExc_ValueError, "expected 256 to 134217728 segments, got %zd", n);
        goto done;
    }
    if (hold_items(ids_object, &ids, 4, n, 0, "ids")) goto done;
    if (costs_object != Py_None && hold_items(costs_object, &costs, 4, n, 0, "costs")) goto done;
    allocfunc allocate = PyType_GetSlot(type, Py_tp_alloc);
    x = (Index *)allocate(type, 0);
    if (!x) goto done;
    x->block = block;
    x->piece_count = (size_t)n;
    keys = malloc((size_t)n * sizeof(Key));
    x->lengths = malloc((size_t)n);
    x->ids = malloc((size_t)n * 4);
    if (costs.held) x->costs = malloc((size_t)n * 4);
    if (!keys || !x->lengths || !x->ids || (costs.held && !x->costs)) {
        PyErr_NoMemory();
        goto done;
    }
    memcpy(x->ids, ids.view.buf, (size_t)n * 4);
    if (costs.held) {
        memcpy(x->costs, costs.view.buf, (size_t)n * 4);
        int unit = 1;
        for (Py_ssize_t i = 0; i < n; i++) {
            if (x->costs[i] < 1 || x->costs[i] > 1 << 16) {
                PyErr_Format(PyExc_ValueError, "cost %d of segment %zd is not within 1..65536", (int)x->costs[i], i);
                goto done;
            }
            unit &= x->costs[i] == 1;
        }
        if (unit) { free(x->costs); x->costs = NULL; }
    }
    const int64_t *at = offsets.view.buf;
    const uint8_t *text = blob.view.buf;
    for (Py_ssize_t i = 0; i < n; i++) {
        int64_t from = at[i], to = at[i + 1];
        if (from < 0 || to > blob.view.len || to - from < 1 || to - from > LONGEST) {
            PyErr_Format(PyExc_ValueError, "segment %zd is not 1 to %d bytes long", i, LONGEST);
            goto done;
        }
        uint64_t half[2] = {0, 0};
        for (int64_t j = from, k = 0; j < to; j++, k++) {
            half[k >> 3] |= (uint64_t)text[j] << (56 - 8 * (k & 7));
            if (text[j] == '\n' && j + 1 < to && text[j + 1] != '\n') {
                PyErr_Format(PyExc_ValueError, "segment %zd has a byte after a newline", i);
                goto done;
            }
        }
        keys[i] = (Key){half[0], half[1], (uint32_t)i, (uint32_t)(to - from)};
        x->lengths[i] = (uint8_t)(to - from);
    }
    uint32_t where = 0;
    int rc;
    Py_BEGIN_ALLOW_THREADS
    qsort(keys, (size_t)n, sizeof(Key), compare_keys);
    rc = build(x, keys, (size_t)n, &where);
    Py_END_ALLOW_THREADS
    if (rc == -1) PyErr_NoMemory();
    if (rc == -2) PyErr_Format(PyExc_ValueError, "segment %u occurs twice", (unsigned)where);
    if (rc == -3) PyErr_SetString(PyExc_ValueError, "the 256 single bytes must all be among the segments");
    failed = rc != 0;
done:
    free(keys);
    let_go(&blob); let_go(&offsets); let_go(&ids); let_go(&costs);
    if (failed) Py_CLEAR(x);
    return (PyObject *)x;
}

typedef struct {
    int32_t *items;
    size_t count, capacity;
} Ids;

/* Adds the piece numbers of a whole text, without the GIL; `left` bytes of this text and others are to come in all.
 * 0, or -1 when memory ran out. */
static int encode_into(const Index *x, Scratch *w, const uint8_t *d, size_t n, size_t left, Ids *out)
{
    for (size_t pos = 0; pos < n;) {
        size_t end = next_chunk(w, d, pos, n, (size_t)x->block), m = end - pos;
        find_masks(x, w, d + pos, m);
        find_path(x, w, m);
        if (out->count + m > out->capacity) {
            size_t capacity = out->capacity + out->capacity / 2 + m;
            if (capacity > out->count + (left - pos)) capacity = out->count + (left - pos);
            int32_t *items = realloc(out->items, capacity * sizeof(int32_t));
            if (!items) return -1;
            out->items = items;
            out->capacity = capacity;
        }
        /* The path is known from its end: it is written to the end of the room made for it, then moved up. */
        int32_t *first = out->items + out->count, *write = first + m;
        for (size_t i = m; i > 0;) {
            uint32_t length = w->length[i - 1];
            *--write = (int32_t)piece_at(x, w, i - 1, length);
            i -= length;
        }
        size_t found = (size_t)(first + m - write);
        memmove(first, write, found * sizeof(int32_t));
        out->count += found;
        pos = end;
    }
    return 0;
}

static int encode(const Index *x, const uint8_t *d, size_t n, Ids *out)
{
    Scratch w;
    if (make_scratch(&w, (size_t)x->block, n, x->costs ? 1 : 0)) return -1;
    int rc = encode_into(x, &w, d, n, n, out);
    free_scratch(&w);
    return rc;
}

/* Piece numbers of a text given as a Python object; raises. */
static int encode_object(Index *x, PyObject *object, Ids *out)
{
    Held data = {0};
    int rc;
    *out = (Ids){0};
    if (hold(object, &data, PyBUF_CONTIG_RO)) return -1;
    Py_BEGIN_ALLOW_THREADS
    rc = encode(x, data.view.buf, (size_t)data.view.len, out);
    Py_END_ALLOW_THREADS
    let_go(&data);
    if (rc) { free(out->items); PyErr_NoMemory(); }
    return rc;
}

static PyObject *Index_encode(Index *x, PyObject *object)
{
    Ids out;
    if (encode_object(x, object, &out)) return NULL;
    for (size_t i = 0; i < out.count; i++) out.items[i] = x->ids[out.items[i]];
    PyObject *result = PyByteArray_FromStringAndSize((const char *)out.items, (Py_ssize_t)(out.count * 4));
    free(out.items);
    return result;
}

/* One Python integer per piece, shared by every list there will be. */
static int make_numbers(Index *x)
{
    if (x->numbers) return 0;
    PyObject **numbers = calloc(x->piece_count, sizeof(PyObject *));
    if (!numbers) { PyErr_NoMemory(); return -1; }
    for (size_t i = 0; i < x->piece_count; i++)
        if (!(numbers[i] = PyLong_FromLong(x->ids[i]))) {
            while (i-- > 0) Py_DECREF(numbers[i]);
            free(numbers);
            return -1;
        }
    x->numbers = numbers;
    return 0;
}

static PyObject *list_of(const Index *x, const int32_t *pieces, size_t count)
{
    PyObject *result = PyList_New((Py_ssize_t)count);
    if (result)
        for (size_t i = 0; i < count; i++) {
            /* Counting a reference writes to a number somewhere in a megabyte: it is fetched some steps before. */
            if (i + AHEAD < count) PREFETCH(x->numbers[pieces[i + AHEAD]]);
            PyObject *number = x->numbers[pieces[i]];
            Py_INCREF(number);
            PyList_SET_ITEM(result, (Py_ssize_t)i, number);
        }
    return result;
}

static PyObject *Index_encode_list(Index *x, PyObject *object)
{
    Ids out;
    if (make_numbers(x) || encode_object(x, object, &out)) return NULL;
    PyObject *result = list_of(x, out.items, out.count);
    free(out.items);
    return result;
}

/* A text as UTF-8; the object that its bytes belong to is kept until they are no longer read. */
typedef struct {
    PyObject *owner;
    const uint8_t *data;
    size_t size, end; /* end: how many pieces there are up to the end of this text */
} Text;

static int hold_text(PyObject *object, Text *text)
{
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "expected str, got %.100s", Py_TYPE(object)->tp_name);
        return -1;
    }
    if (PyUnicode_IS_COMPACT_ASCII(object)) { /* it is UTF-8 as it stands */
        text->owner = Py_NewRef(object);
        text->data = PyUnicode_1BYTE_DATA(object);
        text->size = (size_t)PyUnicode_GET_LENGTH(object);
        return 0;
    }
    if (!(text->owner = PyUnicode_AsUTF8String(object))) return -1;
    text->data = (const uint8_t *)PyBytes_AS_STRING(text->owner);
    text->size = (size_t)PyBytes_GET_SIZE(text->owner);
    return 0;
}

/* Many texts with the GIL given up once: threads that take turns at it wait for each other with every text. */
static PyObject *Index_encode_lists(Index *x, PyObject *object)
{
    PyObject *items = PySequence_Tuple(object), *result = NULL;
    if (!items || make_numbers(x)) { Py_XDECREF(items); return NULL; }
    size_t count = (size_t)PyTuple_GET_SIZE(items), held = 0, left = 0;
    Ids out = {0};
    Text *texts = calloc(count ? count : 1, sizeof(Text));
    Scratch *w = x->spare;
    if (w) x->spare = w->next;
    else w = calloc(1, sizeof *w);
    if (!texts || !w) { PyErr_NoMemory(); goto done; }
    for (; held < count; held++) {
        if (hold_text(PyTuple_GET_ITEM(items, (Py_ssize_t)held), &texts[held])) goto done;
        left += texts[held].size;
    }
    int rc;
    Py_BEGIN_ALLOW_THREADS
    rc = w->state ? 0 : make_scratch(w, (size_t)x->block, SIZE_MAX, x->costs ? 1 : 0);
    for (size_t i = 0; !rc && i < count; i++) {
        rc = encode_into(x, w, texts[i].data, texts[i].size, left, &out);
        texts[i].end = out.count;
        left -= texts[i].size;
    }
    Py_END_ALLOW_THREADS
    if (rc) { PyErr_NoMemory(); goto done; }
    if (!(result = PyList_New((Py_ssize_t)count))) goto done;
    for (size_t i = 0, from = 0; i < count; from = texts[i++].end) {
        PyObject *list = list_of(x, out.items + from, texts[i].end - from);
        if (!list) { Py_CLEAR(result); goto done; }
        PyList_SET_ITEM(result, (Py_ssize_t)i, list);
    }
done:
    while (held > 0) Py_DECREF(texts[--held].owner);
    if (w) { w->next = x->spare; x->spare = w; } /* as many as there were calls at once */
    free(texts);
    free(out.items);
    Py_DECREF(items);
    return result;
}

static PyObject *Index_count(Index *x, PyObject *object)
{
    Held data = {0};
    Scratch w;
    size_t total = 0;
    if (hold(object, &data, PyBUF_CONTIG_RO)) return NULL;
    int failed;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *d = data.view.buf;
    size_t n = (size_t)data.view.len;
    failed = make_scratch(&w, (size_t)x->block, n, x->costs ? 1 : 0);
    if (!failed) {
        for (size_t pos = 0; pos < n;) {
            size_t end = next_chunk(&w, d, pos, n, (size_t)x->block);
            find_masks(x, &w, d + pos, end - pos);
            find_path(x, &w, end - pos);
            for (size_t i = end - pos; i > 0; i -= w.length[i - 1]) total++;
            pos = end;
        }
        free_scratch(&w);
    }
    Py_END_ALLOW_THREADS
    let_go(&data);
    return failed ? PyErr_NoMemory() : PyLong_FromSize_t(total);
}

static PyObject *Index_measure(Index *x, PyObject *args)
{
    PyObject *object, *use_object, *loss_object = Py_None;
    if (!PyArg_ParseTuple(args, "OO|O", &object, &use_object, &loss_object)) return NULL;
    Held data = {0}, use = {0}, loss = {0};
    PyObject *result = NULL;
    Py_ssize_t pieces = (Py_ssize_t)x->piece_count;
    int full = loss_object != Py_None;
    if (hold(object, &data, PyBUF_CONTIG_RO)) goto done;
    if (hold_items(use_object, &use, 8, pieces, 1, "use")) goto done;
    if (loss_object != Py_None && hold_items(loss_object, &loss, 8, pieces, 1, "loss")) goto done;
    Scratch w;
    int failed;
    size_t total = 0;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *d = data.view.buf;
    size_t n = (size_t)data.view.len;
    failed = make_scratch(&w, (size_t)x->block, n, full ? 3 : x->costs ? 1 : 0);
    if (!failed) {
        int64_t *counts = use.view.buf;
        for (size_t pos = 0; pos < n;) {
            size_t end = next_chunk(&w, d, pos, n, (size_t)x->block), m = end - pos;
            find_masks(x, &w, d + pos, m);
            find_path(x, &w, m);
            if (full) measure(x, &w, m, counts, loss.view.buf);
            else
                for (size_t i = m; i > 0; i -= w.length[i - 1]) counts[piece_at(x, &w, i - 1, w.length[i - 1])]++;
            for (size_t i = m; i > 0; i -= w.length[i - 1]) total++;
            pos = end;
        }
        free_scratch(&w);
    }
    Py_END_ALLOW_THREADS
    result = failed ? PyErr_NoMemory() : PyLong_FromSize_t(total);
done:
    let_go(&data); let_go(&use); let_go(&loss);
    return result;
}

static PyObject *Index_settled(Index *x, PyObject *object)
{
    Held data = {0};
    if (hold(object, &data, PyBUF_CONTIG_RO)) return NULL;
    const uint8_t *d = data.view.buf;
    size_t n = (size_t)data.view.len, pos = 0;
    while (pos < n) {
        int cut;
        size_t end = unit_end(d, pos, n, (size_t)x->block, &cut);
        if (end == n) break; /* more newlines or text may follow */
        pos = end;
    }
    let_go(&data);
    return PyLong_FromSize_t(pos);
}

static PyObject *Index_memory(Index *x, PyObject *Py_UNUSED(ignored))
{
    size_t bytes = x->slot_count * (sizeof(uint64_t) + 6) + x->list_count * 4 +
                   x->piece_count * (6 + (x->costs ? 4 : 0));
    return PyLong_FromSize_t(bytes);
}

static PyMethodDef Index_methods[] = {
    {"encode", (PyCFunction)Index_encode, METH_O, "Ids of the bytes, as a bytearray of int32."},
    {"encode_list", (PyCFunction)Index_encode_list, METH_O, "Ids of the bytes, as a list."},
    {"encode_lists", (PyCFunction)Index_encode_lists, METH_O, "Ids of each of many strings, as lists."},
    {"count", (PyCFunction)Index_count, METH_O, "Number of tokens of the bytes."},
    {"measure", (PyCFunction)Index_measure, METH_VARARGS,
     "measure(data, use, loss=None): adds to int64 buffers with one item per segment; returns the tokens."},
    {"settled", (PyCFunction)Index_settled, METH_O, "How many leading bytes are cut the same whatever follows."},
    {"memory", (PyCFunction)Index_memory, METH_NOARGS, "Bytes held by the tables."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot Index_slots[] = {
    {Py_tp_new, Index_new},
    {Py_tp_dealloc, Index_dealloc},
    {Py_tp_methods, Index_methods},
    {Py_tp_doc, "Index(blob, offsets, ids, costs=None, block=4096): segments compiled for the search."},
    {0, NULL},
};

static PyType_Spec Index_spec = {
    .name = "tokframe_autoencoder.segmenter._search.Index",
    .basicsize = sizeof(Index),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Index_slots,
};

/* ------------------------------------------------------------------ decoding */

/* The `size` bytes of `n` ids that are all known, without the GIL. */
static PyObject *spell(const Held *blob, const int64_t *at, const int32_t *id, Py_ssize_t n, int64_t size)
{
    PyObject *result = PyBytes_FromStringAndSize(NULL, size);
    if (!result) return NULL;
    uint8_t *write = (uint8_t *)PyBytes_AsString(result);
    const uint8_t *text = blob->view.buf;
    int64_t last = (int64_t)blob->view.len - LONGEST;
    Py_BEGIN_ALLOW_THREADS
    uint8_t *fence = write + size - LONGEST;
    for (Py_ssize_t i = 0; i < n; i++) {
        int64_t from = at[id[i]], length = at[id[i] + 1] - from;
        if (length <= LONGEST && from <= last && write <= fence) memcpy(write, text + from, LONGEST);
        else memcpy(write, text + from, (size_t)length);
        write += length;
    }
    Py_END_ALLOW_THREADS
    return result;
}

/* decode(blob, offsets, ids): the bytes of the ids; IndexError with the position of the first id out of range. */
static PyObject *decode(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *blob_object, *offsets_object, *ids_object, *result = NULL;
    if (!PyArg_ParseTuple(args, "OOO", &blob_object, &offsets_object, &ids_object)) return NULL;
    Held blob = {0}, offsets = {0}, ids = {0};
    if (hold(blob_object, &blob, PyBUF_CONTIG_RO)) goto done;
    if (hold_items(offsets_object, &offsets, 8, -1, 0, "offsets")) goto done;
    if (hold_items(ids_object, &ids, 4, -1, 0, "ids")) goto done;
    const int64_t *at = offsets.view.buf;
    const int32_t *id = ids.view.buf;
    Py_ssize_t n = ids.view.len / 4, bad = -1;
    uint32_t known = (uint32_t)(offsets.view.len / 8 - 1);
    int64_t size = 0;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < n; i++) {
        if ((uint32_t)id[i] >= known) { bad = i; break; }
        size += at[id[i] + 1] - at[id[i]];
    }
    Py_END_ALLOW_THREADS
    if (bad >= 0) {
        PyObject *place = PyLong_FromSsize_t(bad);
        if (place) {
            PyErr_SetObject(PyExc_IndexError, place);
            Py_DECREF(place);
        }
        goto done;
    }
    result = spell(&blob, at, id, n, size);
done:
    let_go(&blob); let_go(&offsets); let_go(&ids);
    return result;
}

/* The value of an int that may be an id; -1 for everything else.  Reads the digit where Python shows it. */
static inline Py_ssize_t small_int(PyObject *number)
{
    if (!PyLong_CheckExact(number)) return -1;
#if PY_VERSION_HEX >= 0x030C0000
    if (PyUnstable_Long_IsCompact((PyLongObject *)number)) return PyUnstable_Long_CompactValue((PyLongObject *)number);
#else
    if (Py_SIZE(number) == 1) return (Py_ssize_t)((PyLongObject *)number)->ob_digit[0];
#endif
    int overflow;
    long value = PyLong_AsLongAndOverflow(number, &overflow);
    return overflow || value < 0 || value > INT32_MAX ? -1 : (Py_ssize_t)value;
}

/* decode_known(blob, offsets, ids): the bytes of a list of ints or of int32 items; None where one is no segment's id,
 * for the caller to find out what it is. */
static PyObject *decode_known(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *blob_object, *offsets_object, *ids_object, *result = NULL;
    if (!PyArg_ParseTuple(args, "OOO", &blob_object, &offsets_object, &ids_object)) return NULL;
    Held blob = {0}, offsets = {0}, ids = {0};
    int32_t few[64], *id = few; /* a list's ids; short ones need no memory of their own */
    Py_ssize_t n;
    int good = 1;
    if (hold(blob_object, &blob, PyBUF_CONTIG_RO)) goto done;
    if (hold_items(offsets_object, &offsets, 8, -1, 0, "offsets")) goto done;
    const int64_t *at = offsets.view.buf;
    uint32_t known = (uint32_t)(offsets.view.len / 8 - 1);
    int64_t size = 0;
    if (PyList_Check(ids_object)) {
        n = PyList_Size(ids_object);
        if (n > 64 && !(id = malloc((size_t)n * 4))) { id = few; PyErr_NoMemory(); goto done; }
        for (Py_ssize_t i = 0; i < n && good; i++) {
            Py_ssize_t value = small_int(PyList_GET_ITEM(ids_object, i));
            good = value >= 0 && (size_t)value < known;
            id[i] = good ? (int32_t)value : 0;
        }
    } else {
        if (hold_items(ids_object, &ids, 4, -1, 0, "ids")) goto done;
        n = ids.view.len / 4;
        id = ids.view.buf;
        for (Py_ssize_t i = 0; i < n && good; i++) good = (uint32_t)id[i] < known;
    }
    for (Py_ssize_t i = 0; i < n && good; i++) {
        int64_t length = at[id[i] + 1] - at[id[i]];
        good = length > 0;
        size += length;
    }
    result = good ? spell(&blob, at, id, n, size) : Py_NewRef(Py_None);
done:
    if (id != few && !ids.held) free(id);
    let_go(&blob); let_go(&offsets); let_go(&ids);
    return result;
}

static PyMethodDef functions[] = {
    {"decode", decode, METH_VARARGS, "decode(blob, offsets, ids): bytes; IndexError(position) for an unknown id."},
    {"decode_known", decode_known, METH_VARARGS,
     "decode_known(blob, offsets, ids): bytes of a list or int32 array; None where one is not a segment's id."},
    {NULL, NULL, 0, NULL},
};

static int prepare(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&Index_spec);
    if (!type) return -1;
    int rc = PyModule_AddObjectRef(module, "Index", type);
    Py_DECREF(type);
    return rc;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, prepare},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_search",
    .m_doc = "The search over the vocabulary, compiled.",
    .m_methods = functions,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__search(void) { return PyModuleDef_Init(&module); }
