/* The search over the vocabulary, compiled: an automaton over the segments, and the fewest-tokens path.
 *
 * The text is read by an Aho-Corasick automaton of the segments, so one state per byte tells which segments END there
 * (a 16-bit mask of lengths).  A state depends on at most 16 bytes, hence several stretches of one text are walked in
 * lockstep after a warm-up of 15 bytes, without a branch to mispredict.  The path is a forward minimum over a window
 * of 16 costs; among equal paths the longest segment wins at each position from the right, as in unigram models.
 * No segment holds a newline before another byte, so lines separate by themselves; only cuts of overlong lines are
 * enforced.  Plain C11; vector code is chosen at run time.  The oracle is reference.py.
 *
 * One translation unit, so that the compiler sees all of it: here are the Python type and the module, in the headers
 * beside it what they are made of.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>
#include <string.h>

#include "_automaton.h"
#include "_buffers.h"
#include "_decoding.h"
#include "_encoding.h"
#include "_index.h"
#include "_walk.h"

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
    if (block < LONGEST || block > 1 << 28) {
        PyErr_Format(PyExc_ValueError, "block must be at least %d and at most %d bytes, got %zd", LONGEST, 1 << 28,
                     block);
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
        int32_t most = 1;
        for (Py_ssize_t i = 0; i < n; i++) {
            if (x->costs[i] < 1 || x->costs[i] > 1 << 16) {
                PyErr_Format(PyExc_ValueError, "cost %d of segment %zd is not within 1..65536", (int)x->costs[i], i);
                goto done;
            }
            unit &= x->costs[i] == 1;
            if (x->costs[i] > most) most = x->costs[i];
        }
        if ((int64_t)(CHUNK + block) * most > INT32_MAX - (LONGEST + 1) * 65536) { /* what a chunk may cost in all */
            PyErr_Format(PyExc_ValueError, "a block of %zd bytes is too long for costs of up to %d", block, (int)most);
            goto done;
        }
        if (unit) { free(x->costs); x->costs = NULL; }
    }
    const int64_t *at = offsets.view.buf;
    const uint8_t *text = blob.view.buf;
    for (Py_ssize_t i = 0; i < n; i++) {
        int64_t from = at[i], to = at[i + 1];
        if (from < 0 || to > blob.view.len || from >= to || to - from > LONGEST) {
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

static PyMethodDef Index_methods[] = {
    {"encode", (PyCFunction)Index_encode, METH_O, "Ids of the bytes, as a bytearray of int32."},
    {"encode_list", (PyCFunction)Index_encode_list, METH_O, "Ids of the bytes, as a list."},
    {"encode_text", (PyCFunction)Index_encode_text, METH_O, "Ids of a string, as a list."},
    {"encode_lists", (PyCFunction)Index_encode_lists, METH_O, "Ids of each of many strings, as lists."},
    {"count", (PyCFunction)Index_count, METH_O, "Number of tokens of the bytes."},
    {"measure", (PyCFunction)Index_measure, METH_VARARGS,
     "measure(data, use, loss=None): adds to int64 buffers with one item per segment; returns the tokens."},
    {"stable_prefix", (PyCFunction)Index_stable_prefix, METH_O, "How many leading bytes are cut the same whatever follows."},
    {"settled_prefix", (PyCFunction)Index_settled_prefix, METH_O, "How many leading bytes keep their ids whatever follows."},
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
    .name = "tokframe_dictionary.segmenter._search.Index",
    .basicsize = sizeof(Index),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Index_slots,
};

static PyMethodDef functions[] = {
    {"decode", decode, METH_VARARGS, "decode(blob, offsets, ids): bytes; IndexError(position) for an unknown id."},
    {"decode_known", (PyCFunction)(void (*)(void))decode_known, METH_FASTCALL,
     "decode_known(blob, offsets, ids, text): bytes or str of a list or int32 array; None where one is not a segment's id."},
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
