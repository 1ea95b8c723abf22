/* The tables that a search reads, as a Python object: what `_automaton.h` makes of the segments. */
#pragma once

#include <Python.h>

#include "_platform.h"

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
    uint64_t *inner;     /* bit per slot: a segment goes on from here */
    uint32_t *lists;     /* piece numbers by increasing length, one run per terminal slot */
    uint32_t *order;     /* slots in breadth-first order (fail before user) */
    uint32_t *terminal;  /* per entry of order: piece number + 1, or 0 */
    uint8_t *lengths;    /* per piece */
    int32_t *ids;        /* per piece */
    int32_t *costs;      /* per piece, NULL where all are 1 */
    PyObject **numbers;  /* per piece: its id as a Python int, made when the first list is asked for */
    size_t slot_count, node_count, piece_count;
    Py_ssize_t block;
    struct Scratch *spare; /* working memory of calls that are over, for the next; touched under the GIL alone */
} Index;
