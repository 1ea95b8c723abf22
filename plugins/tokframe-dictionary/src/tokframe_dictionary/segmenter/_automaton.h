/* From sorted segments to the tables: a double array laid out breadth first, then the fail links. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "_index.h"

/* One node while the double array is built: the child of `parent` by byte c lies at slot base[parent] ^ c and has
 * check == base[parent]; no two nodes share a base. */
typedef struct {
    uint32_t check, base, fail, list;
} Slot;

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
    free(x->slots); free(x->list); free(x->mask); free(x->inner); free(x->lists); free(x->order);
    free(x->terminal); free(x->lengths); free(x->ids); free(x->costs);
    x->slots = x->inner = NULL; x->list = NULL; x->mask = NULL; x->lists = x->order = x->terminal = NULL;
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
    x->inner = calloc(a.count / 64, sizeof(uint64_t));
    x->order = malloc(count * sizeof(uint32_t));
    fails = malloc(a.count * sizeof(uint32_t));
    x->slots = malloc(a.count * sizeof(uint64_t));
    x->list = malloc(a.count * sizeof(uint32_t));
    if (!x->slots || !x->list || !x->mask || !x->inner || !x->order || !fails) goto done;
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
        } else set_bit(x->inner, s);
        x->mask[s] = i ? x->mask[f] : 0;
        if (piece) {
            x->mask[s] |= (uint16_t)(1u << (x->lengths[piece - 1] - 1));
            listed += POPCOUNT(x->mask[s]);
        }
    }
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
