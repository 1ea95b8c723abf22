/* Buffers of Python objects, held while they are read. */
#pragma once

#include <Python.h>

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
