/* Frequent substrings of a corpus, compiled: counts by hash, one length at a time, each length built on the last.
 *
 * A substring of length L can only be frequent where both substrings of length L-1 in it are; counters without keys
 * (a collision only lets too much through) decide that, and an exact table counts what passes and is worth returning.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "_words.h"

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(p) __builtin_prefetch(p, 1)
#else
#define PREFETCH(p) ((void)(p))
#endif

enum { LONGEST = 16, AHEAD = 16 };

typedef struct {
    uint64_t a, b; /* the bytes, zero-padded: the length tells zeros apart */
    uint32_t count;
    uint8_t length; /* 0 where empty */
} Entry;

typedef struct {
    Entry *entries;
    size_t used, size; /* size is a power of two */
} Table;

static inline void key_at(const uint8_t *d, size_t i, size_t n, uint32_t length, uint64_t *a, uint64_t *b)
{
    uint8_t padded[16];
    if (i + 16 <= n) memcpy(padded, d + i, 16);
    else {
        memset(padded, 0, 16);
        memcpy(padded, d + i, n - i);
    }
    memcpy(a, padded, 8);
    memcpy(b, padded + 8, 8);
    static const uint16_t probe = 1;
    int little = *(const uint8_t *)&probe;
    if (length <= 8) {
        *b = 0;
        if (length < 8) {
            uint64_t keep = ((uint64_t)1 << (8 * length)) - 1;
            *a = little ? *a & keep : *a & ~(UINT64_MAX >> (8 * length));
        }
    } else if (length < 16) {
        uint32_t rest = length - 8;
        uint64_t keep = ((uint64_t)1 << (8 * rest)) - 1;
        *b = little ? *b & keep : *b & ~(UINT64_MAX >> (8 * rest));
    }
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t h = a * 0x9e3779b97f4a7c15u ^ (b + 0x632be59bd9b4e019u) * 0xc2b2ae3d27d4eb4fu;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 29;
}

static int grow(Table *t)
{
    size_t size = t->size ? t->size * 2 : 1 << 16;
    Entry *entries = calloc(size, sizeof(Entry));
    if (!entries) return -1;
    for (size_t i = 0; i < t->size; i++) {
        if (!t->entries[i].length) continue;
        size_t at = mix(t->entries[i].a, t->entries[i].b) & (size - 1);
        while (entries[at].length) at = (at + 1) & (size - 1);
        entries[at] = t->entries[i];
    }
    free(t->entries);
    t->entries = entries;
    t->size = size;
    return 0;
}

/* alive[i]: the substring of the current length at i is frequent.  words: what `lay_out_words` wrote, or NULL where
 * every occurrence counts. */
static int mine(const uint8_t *d, size_t n, uint32_t longest, uint32_t least, uint32_t bits, const uint8_t *words,
                int rule, Entry **out, size_t *found)
{
    uint8_t *alive = malloc(n + 1);
    uint32_t *counters = malloc(((size_t)1 << bits) * sizeof(uint32_t));
    Entry *kept = NULL;
    size_t kept_count = 0;
    uint64_t shift = 64 - bits;
    int rc = -1;
    Table t = {0};
    if (!alive || !counters) goto done;
    memset(alive, 1, n);
    alive[n] = 0;
    for (uint32_t length = 2; length <= longest && length <= n; length++) {
        memset(counters, 0, ((size_t)1 << bits) * sizeof(uint32_t));
        size_t last = n - length, queue[AHEAD] = {0};
        for (size_t i = 0; i <= last; i++) {
            /* alive[] still speaks of length - 1 at i + 1, and is narrowed to candidates of this length at i. */
            uint8_t may = alive[i] & alive[i + 1];
            if (length == 2 && d[i] == '\n' && d[i + 1] != '\n') may = 0;
            alive[i] = may;
            if (!may) continue;
            uint64_t a, b;
            key_at(d, i, n, length, &a, &b);
            size_t at = (size_t)(mix(a, b) >> shift);
            PREFETCH(&counters[at]);
            size_t *slot = &queue[i % AHEAD];
            if (*slot) counters[*slot - 1]++;
            *slot = at + 1;
        }
        for (size_t k = 0; k < AHEAD; k++) if (queue[k]) counters[queue[k] - 1]++;
        for (size_t i = last + 1; i <= n; i++) alive[i] = 0;
        t.used = 0;
        if (t.entries) memset(t.entries, 0, t.size * sizeof(Entry));
        struct { size_t i; uint64_t hash; } pending[AHEAD];
        size_t waiting = 0;
        for (size_t i = 0; i <= last + AHEAD; i++) {
            /* One pass, two stages: prefetch the counter now, read it AHEAD candidates later. */
            int flush = i > last;
            if (!flush) {
                if (!alive[i]) continue;
                uint64_t a, b;
                key_at(d, i, n, length, &a, &b);
                uint64_t hash = mix(a, b);
                PREFETCH(&counters[hash >> shift]);
                pending[waiting].i = i;
                pending[waiting++].hash = hash;
                if (waiting < AHEAD) continue;
            }
            for (size_t k = 0; k < waiting; k++) {
                size_t p = pending[k].i;
                if (counters[pending[k].hash >> shift] < least) { alive[p] = 0; continue; }
                if (continuation(d[p]) || (p + length < n && continuation(d[p + length]))) continue;
                if (words && !keeps_words(words, rule, p, length)) continue;
                if (t.used * 2 >= t.size && grow(&t)) goto done;
                uint64_t a, b;
                key_at(d, p, n, length, &a, &b);
                size_t at = pending[k].hash & (t.size - 1);
                while (t.entries[at].length && (t.entries[at].a != a || t.entries[at].b != b))
                    at = (at + 1) & (t.size - 1);
                if (!t.entries[at].length) { t.entries[at] = (Entry){a, b, 0, (uint8_t)length}; t.used++; }
                t.entries[at].count++;
            }
            waiting = 0;
            if (flush) break;
        }
        size_t more = 0;
        for (size_t i = 0; i < t.size; i++) more += t.entries[i].count >= least;
        if (more) {
            Entry *bigger = realloc(kept, (kept_count + more) * sizeof(Entry));
            if (!bigger) goto done;
            kept = bigger;
            for (size_t i = 0; i < t.size; i++)
                if (t.entries[i].count >= least) kept[kept_count++] = t.entries[i];
        }
    }
    rc = 0;
done:
    free(alive); free(counters); free(t.entries);
    if (rc) { free(kept); kept = NULL; }
    *out = kept;
    *found = kept_count;
    return rc;
}

/* What `lay_out_words` says of a text; NULL for the rule ANY, and with *failed set where memory ran out. */
static uint8_t *words_of(const uint8_t *d, size_t n, int rule, int *failed)
{
    *failed = 0;
    if (rule == ANY) return NULL;
    uint8_t *words = malloc(n + 1);
    *failed = !words;
    if (words) lay_out_words(d, n, rule, words);
    return words;
}

static int known_rule(int rule)
{
    if (rule == ANY || rule == PHRASES || rule == WITHIN) return 1;
    PyErr_SetString(PyExc_ValueError, "words must be 0 (any substring), 1 (phrases) or 2 (within)");
    return 0;
}

/* count_substrings(data, longest, least, words) -> (keys, lengths, counts): bytearrays of 16 bytes, uint8 and
 * uint32 each. */
static PyObject *count_substrings(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *object;
    unsigned int longest, least;
    int rule;
    if (!PyArg_ParseTuple(args, "OIIi", &object, &longest, &least, &rule) || !known_rule(rule)) return NULL;
    if (longest < 1 || longest > LONGEST || least < 1) {
        PyErr_SetString(PyExc_ValueError, "longest must be 1 to 16 and least at least 1");
        return NULL;
    }
    Py_buffer data;
    if (PyObject_GetBuffer(object, &data, PyBUF_CONTIG_RO)) return NULL;
    uint32_t bits = 16;
    while (bits < 26 && (Py_ssize_t)1 << bits < data.len) bits++;
    Entry *entries = NULL;
    size_t n = 0;
    int rc = 0;
    Py_BEGIN_ALLOW_THREADS
    uint8_t *words = words_of(data.buf, (size_t)data.len, rule, &rc);
    if (!rc) rc = mine(data.buf, (size_t)data.len, longest, least, bits, words, rule, &entries, &n);
    free(words);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&data);
    if (rc) return PyErr_NoMemory();
    PyObject *keys = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)n * 16);
    PyObject *lengths = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)n);
    PyObject *counts = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)n * 4);
    PyObject *result = NULL;
    if (keys && lengths && counts) {
        char *k = PyByteArray_AsString(keys), *l = PyByteArray_AsString(lengths), *c = PyByteArray_AsString(counts);
        for (size_t i = 0; i < n; i++) {
            memcpy(k + 16 * i, &entries[i].a, 8);
            memcpy(k + 16 * i + 8, &entries[i].b, 8);
            l[i] = (char)entries[i].length;
            memcpy(c + 4 * i, &entries[i].count, 4);
        }
        result = PyTuple_Pack(3, keys, lengths, counts);
    }
    free(entries);
    Py_XDECREF(keys); Py_XDECREF(lengths); Py_XDECREF(counts);
    return result;
}

/* The table of one length: given substrings, and beginnings of longer ones, at which a position is not left. */
typedef struct { uint64_t a, b; size_t number; } Slot; /* number + 1; 0 where empty */
typedef struct {
    Slot *slots;
    size_t used, size; /* size is a power of two */
} Slots;
#define BEGINNING SIZE_MAX

static Slot *slot_of(const Slots *t, uint64_t a, uint64_t b, uint64_t hash)
{
    size_t at = hash & (t->size - 1);
    while (t->slots[at].number && (t->slots[at].a != a || t->slots[at].b != b)) at = (at + 1) & (t->size - 1);
    return &t->slots[at];
}

/* 0, or -1 when memory ran out. */
static int put(Slots *t, uint64_t a, uint64_t b, size_t number)
{
    if (t->used * 2 >= t->size) {
        Slots bigger = {calloc(t->size * 2, sizeof(Slot)), t->used, t->size * 2};
        if (!bigger.slots) return -1;
        for (size_t i = 0; i < t->size; i++)
            if (t->slots[i].number)
                *slot_of(&bigger, t->slots[i].a, t->slots[i].b, mix(t->slots[i].a, t->slots[i].b)) = t->slots[i];
        free(t->slots);
        *t = bigger;
    }
    Slot *slot = slot_of(t, a, b, mix(a, b));
    if (!slot->number) {
        *slot = (Slot){a, b, number};
        t->used++;
    } else if (number != BEGINNING) slot->number = number;
    return 0;
}

/* Uses of given substrings, one length at a time, so that the table of each stays in the cache; a position is left as
 * soon as no given substring begins with what stands there.  counts[k] belongs to the k-th key. */
static int recount(const uint8_t *d, size_t n, const uint8_t *keys, const uint8_t *lengths, size_t given,
                   const uint8_t *words, int rule, uint32_t *counts)
{
    typedef struct { size_t i; uint64_t a, b, hash; } Pending;
    uint8_t *alive = malloc(n + 1);
    Slots t = {0};
    int rc = -1;
    if (!alive) goto done;
    for (size_t i = 0; i < n; i++) alive[i] = !continuation(d[i]);
    for (uint32_t length = 2; length <= LONGEST && length <= n; length++) {
        size_t last = n - length, waiting = 0;
        free(t.slots);
        t = (Slots){calloc(1024, sizeof(Slot)), 0, 1024};
        if (!t.slots) goto done;
        for (size_t k = 0; k < given; k++) {
            const uint8_t *key = keys + 16 * k;
            uint32_t whole = lengths[k]; /* another thread may write any other since they were checked */
            if (whole < length || (whole > length && (length == LONGEST || continuation(key[length])))) continue;
            uint64_t a, b;
            key_at(key, 0, LONGEST, length, &a, &b);
            if (put(&t, a, b, whole == length ? k + 1 : BEGINNING)) goto done;
        }
        Pending pending[AHEAD];
        for (size_t i = 0; i <= last + 1; i++) {
            int flush = i > last;
            if (!flush) {
                if (!alive[i] || (i + length < n && continuation(d[i + length]))) continue;
                Pending *p = &pending[waiting++];
                p->i = i;
                key_at(d, i, n, length, &p->a, &p->b);
                p->hash = mix(p->a, p->b);
                PREFETCH(&t.slots[p->hash & (t.size - 1)]);
                if (waiting < AHEAD) continue;
            }
            for (size_t k = 0; k < waiting; k++) {
                size_t number = slot_of(&t, pending[k].a, pending[k].b, pending[k].hash)->number;
                if (!number) alive[pending[k].i] = 0;
                else if (number != BEGINNING && (!words || keeps_words(words, rule, pending[k].i, length)))
                    counts[number - 1]++;
            }
            waiting = 0;
        }
    }
    rc = 0;
done:
    free(alive);
    free(t.slots);
    return rc;
}

/* count_given(data, keys, lengths, words) -> counts: bytearray of uint32. */
static PyObject *count_given(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data, keys, lengths;
    int rule;
    if (!PyArg_ParseTuple(args, "y*y*y*i", &data, &keys, &lengths, &rule)) return NULL;
    PyObject *counts = NULL;
    int rc = 0, known = known_rule(rule), fits = keys.len == 16 * lengths.len;
    for (Py_ssize_t k = 0; fits && k < lengths.len; k++) {
        uint8_t length = ((const uint8_t *)lengths.buf)[k];
        fits = length >= 2 && length <= LONGEST;
    }
    if (known && !fits) PyErr_SetString(PyExc_ValueError, "expected keys of 16 bytes, and a length of 2 to 16 for each");
    else if (known && (counts = PyByteArray_FromStringAndSize(NULL, lengths.len * 4))) {
        uint32_t *into = (uint32_t *)PyByteArray_AsString(counts);
        memset(into, 0, (size_t)lengths.len * 4);
        Py_BEGIN_ALLOW_THREADS
        uint8_t *words = words_of(data.buf, (size_t)data.len, rule, &rc);
        if (!rc) rc = recount(data.buf, (size_t)data.len, keys.buf, lengths.buf, (size_t)lengths.len, words, rule, into);
        free(words);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&keys);
    PyBuffer_Release(&lengths);
    if (rc) {
        Py_CLEAR(counts);
        return PyErr_NoMemory();
    }
    return counts;
}

static PyMethodDef functions[] = {
    {"count_substrings", count_substrings, METH_VARARGS,
     "count_substrings(data, longest, least, words): frequent substrings of 2 to 16 bytes: (keys, lengths, counts)."},
    {"count_given", count_given, METH_VARARGS,
     "count_given(data, keys, lengths, words): uses of given substrings, as uint32."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_mine", .m_doc = "Frequent substrings of a corpus, compiled.", .m_size = 0,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__mine(void) { return PyModuleDef_Init(&module); }
