/* From ids to bytes: a look-up in the segments, whatever the offsets and ids may be. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "_buffers.h"
#include "_platform.h"

/* Segments laid end to end, held while they are read. */
typedef struct {
    Held blob, offsets;
    uint32_t known; /* ids */
} Segments;

static int hold_segments(PyObject *blob, PyObject *offsets, Segments *s)
{
    if (hold(blob, &s->blob, PyBUF_CONTIG_RO) || hold_items(offsets, &s->offsets, 8, -1, 0, "offsets")) return -1;
    s->known = s->offsets.view.len ? (uint32_t)(s->offsets.view.len / 8 - 1) : 0;
    return 0;
}

/* What is spelled: at first in memory of the caller's. */
typedef struct {
    uint8_t *data, *own; /* own: data where it was allotted */
    size_t size, capacity;
} Spelled;

enum { SPELLED, UNKNOWN, ASTRAY, NO_MEMORY };

static int reserve(Spelled *out, size_t more)
{
    if (more > PY_SSIZE_T_MAX / 2 - out->size) return NO_MEMORY;
    size_t capacity = out->size + out->size / 2 + more;
    uint8_t *data = realloc(out->own, capacity);
    if (!data) return NO_MEMORY;
    if (!out->own && out->size) memcpy(data, out->data, out->size);
    out->data = out->own = data;
    out->capacity = capacity;
    return SPELLED;
}

/* Adds the bytes of n ids; needs no lock. Whatever the offsets are, nothing outside the blob is read: the usual short
 * segment is told by two comparisons, and all others are looked at in full. *done: the ids up to the first bad one. */
static int spell(const Segments *s, const int32_t *id, size_t n, int empty, Spelled *out, size_t *done)
{
    const int64_t *at = s->offsets.view.buf;
    const uint8_t *text = s->blob.view.buf;
    const uint64_t end = (uint64_t)s->blob.view.len, inner = end < LONGEST ? 0 : end - LONGEST + 1;
    const uint64_t least = !empty, spread = LONGEST - least;
    const uint32_t known = s->known;
    int rc = out->capacity - out->size < n * 6 + LONGEST ? reserve(out, n * 6 + LONGEST) : SPELLED;
    if (rc != SPELLED) return rc;
    uint8_t *write = out->data + out->size, *fence = out->data + out->capacity - LONGEST; /* here 16 bytes fit */
    size_t i = 0;
    for (; i < n; i++) {
        uint32_t number = (uint32_t)id[i];
        if (number >= known) { rc = UNKNOWN; break; }
        uint64_t from = (uint64_t)at[number], length = (uint64_t)at[number + 1] - from;
        if (LIKELY(length - least <= spread && from < inner && write <= fence)) memcpy(write, text + from, LONGEST);
        else {
            if (length < least || (least && length > INT64_MAX)) { rc = UNKNOWN; break; }
            if (from > end || length > end - from) { rc = ASTRAY; break; }
            out->size = (size_t)(write - out->data);
            if (out->capacity - out->size < length + LONGEST && (rc = reserve(out, (size_t)length + (n - i) * 6 + LONGEST)))
                break;
            write = out->data + out->size;
            fence = out->data + out->capacity - LONGEST;
            memcpy(write, text + from, (size_t)length);
        }
        write += length;
    }
    if (rc != NO_MEMORY) out->size = (size_t)(write - out->data);
    *done = i;
    return rc;
}

/* The same for an array, of which a long one is read without the lock. */
static int spell_array(const Segments *s, const Held *ids, int empty, Spelled *out, size_t *done)
{
    size_t n = (size_t)ids->view.len / 4;
    if (n <= SHORT) return spell(s, ids->view.buf, n, empty, out, done);
    int rc;
    Py_BEGIN_ALLOW_THREADS
    rc = spell(s, ids->view.buf, n, empty, out, done);
    Py_END_ALLOW_THREADS
    return rc;
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

/* The same for a list, some ids at a time. */
static int spell_list(const Segments *s, PyObject *ids, Spelled *out)
{
    int32_t few[SHORT];
    size_t n = (size_t)PyList_GET_SIZE(ids), done;
    for (size_t from = 0; from < n; from += SHORT) {
        size_t size = n - from < SHORT ? n - from : SHORT;
        for (size_t i = 0; i < size; i++) {
            if (from + i + AHEAD < n) PREFETCH_READ(PyList_GET_ITEM(ids, (Py_ssize_t)(from + i + AHEAD)));
            Py_ssize_t value = small_int(PyList_GET_ITEM(ids, (Py_ssize_t)(from + i)));
            if (value < 0 || value > INT32_MAX) return UNKNOWN;
            few[i] = (int32_t)value;
        }
        int rc = spell(s, few, size, 0, out, &done);
        if (rc != SPELLED) return rc;
    }
    return SPELLED;
}

static PyObject *complain(int rc)
{
    if (rc == NO_MEMORY) return PyErr_NoMemory();
    PyErr_SetString(PyExc_ValueError, "the offsets lead out of the segments");
    return NULL;
}

/* decode(blob, offsets, ids): the bytes of the ids; IndexError with the position of the first id out of range. */
static PyObject *decode(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *blob, *offsets, *ids_object, *result = NULL;
    if (!PyArg_ParseTuple(args, "OOO", &blob, &offsets, &ids_object)) return NULL;
    Segments s = {0};
    Held ids = {0};
    Spelled out = {0};
    size_t done;
    if (hold_segments(blob, offsets, &s) || hold_items(ids_object, &ids, 4, -1, 0, "ids")) goto done;
    int rc = spell_array(&s, &ids, 1, &out, &done);
    if (rc == SPELLED) result = PyBytes_FromStringAndSize((const char *)out.data, (Py_ssize_t)out.size);
    else if (rc == UNKNOWN) {
        PyObject *place = PyLong_FromSize_t(done);
        if (place) {
            PyErr_SetObject(PyExc_IndexError, place);
            Py_DECREF(place);
        }
    } else complain(rc);
done:
    free(out.own);
    let_go(&s.blob); let_go(&s.offsets); let_go(&ids);
    return result;
}

/* decode_known(blob, offsets, ids, text): the bytes of a list of ints or of int32 items, or what they are as UTF-8, with
 * U+FFFD for what is none; None where one is no segment's id, for the caller to find out what it is. */
static PyObject *decode_known(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 4) return PyErr_Format(PyExc_TypeError, "expected 4 arguments, got %zd", count);
    PyObject *result = NULL;
    Segments s = {0};
    Held ids = {0};
    uint8_t room[SHORT * 6];
    Spelled out = {.data = room, .capacity = sizeof room};
    size_t done;
    int rc, text = PyObject_IsTrue(args[3]);
    if (text < 0 || hold_segments(args[0], args[1], &s)) goto done;
    if (PyList_Check(args[2])) rc = spell_list(&s, args[2], &out);
    else {
        if (hold_items(args[2], &ids, 4, -1, 0, "ids")) goto done;
        rc = spell_array(&s, &ids, 0, &out, &done);
    }
    if (rc == UNKNOWN) result = Py_NewRef(Py_None);
    else if (rc != SPELLED) complain(rc);
    else if (text) result = PyUnicode_DecodeUTF8((const char *)out.data, (Py_ssize_t)out.size, "replace");
    else result = PyBytes_FromStringAndSize((const char *)out.data, (Py_ssize_t)out.size);
done:
    free(out.own);
    let_go(&s.blob); let_go(&s.offsets); let_go(&ids);
    return result;
}
