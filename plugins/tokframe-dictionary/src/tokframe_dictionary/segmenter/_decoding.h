/* From ids to bytes: a look-up in the segments, whatever the offsets and ids may be. */
#pragma once

#include "_buffers.h"
#include "_platform.h"

/* The `size` bytes of `n` ids that are all known, without the GIL.  Whatever the offsets are, nothing outside `blob` is
 * read: the usual short segment is told by two comparisons, and all others are looked at in full. */
static PyObject *spell(const Held *blob, const int64_t *at, uint32_t known, const int32_t *id, Py_ssize_t n,
                       uint64_t size)
{
    static const char wrong[] = "the offsets lead out of the segments";
    if (size > PY_SSIZE_T_MAX) { PyErr_SetString(PyExc_ValueError, wrong); return NULL; }
    PyObject *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (!result) return NULL;
    uint8_t *write = (uint8_t *)PyBytes_AsString(result);
    const uint8_t *text = blob->view.buf;
    uint64_t end = (uint64_t)blob->view.len, inner = end < LONGEST ? 0 : end - LONGEST + 1;
    uint8_t *stop = write + size, *fence = size < LONGEST ? NULL : stop - LONGEST;
    int good = 1;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < n; i++) {
        uint32_t number = (uint32_t)id[i];
        if (number >= known) { good = 0; break; } /* an array that another thread has changed since it was checked */
        uint64_t from = (uint64_t)at[number], length = (uint64_t)at[number + 1] - from;
        if (LIKELY(length <= LONGEST && from < inner && write <= fence)) memcpy(write, text + from, LONGEST);
        else if (length <= (uint64_t)(stop - write) && from <= end && length <= end - from)
            memcpy(write, text + from, (size_t)length);
        else { good = 0; break; }
        write += length;
    }
    Py_END_ALLOW_THREADS
    if (good && write == stop) return result;
    Py_DECREF(result);
    PyErr_SetString(PyExc_ValueError, wrong);
    return NULL;
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
    uint32_t known = offsets.view.len ? (uint32_t)(offsets.view.len / 8 - 1) : 0;
    uint64_t size = 0;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t i = 0; i < n; i++) {
        uint32_t number = (uint32_t)id[i];
        if (number >= known) { bad = i; break; }
        size += (uint64_t)at[number + 1] - (uint64_t)at[number];
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
    result = spell(&blob, at, known, id, n, size);
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
    uint32_t known = offsets.view.len ? (uint32_t)(offsets.view.len / 8 - 1) : 0;
    uint64_t size = 0;
    if (PyList_Check(ids_object)) {
        n = PyList_Size(ids_object);
        if (n > 64 && !(id = malloc((size_t)n * 4))) { id = few; PyErr_NoMemory(); goto done; }
        for (Py_ssize_t i = 0; i < n && good; i++) {
            if (i + AHEAD < n) PREFETCH_READ(PyList_GET_ITEM(ids_object, i + AHEAD));
            Py_ssize_t value = small_int(PyList_GET_ITEM(ids_object, i));
            good = value >= 0 && (size_t)value < known;
            id[i] = good ? (int32_t)value : 0;
        }
    } else {
        if (hold_items(ids_object, &ids, 4, -1, 0, "ids")) goto done;
        n = ids.view.len / 4;
        id = ids.view.buf;
    }
    for (Py_ssize_t i = 0; i < n && good; i++) {
        uint32_t number = (uint32_t)id[i];
        if (number >= known) { good = 0; break; }
        uint64_t length = (uint64_t)at[number + 1] - (uint64_t)at[number];
        good = (int64_t)length > 0;
        size += length;
    }
    result = good ? spell(&blob, at, known, id, n, size) : Py_NewRef(Py_None);
done:
    if (id != few && !ids.held) free(id);
    let_go(&blob); let_go(&offsets); let_go(&ids);
    return result;
}
