/* The methods that read a text: ids as an array or as lists, counts, measures. */
#pragma once

#include "_buffers.h"
#include "_path.h"

typedef struct {
    int32_t *items;
    size_t count, capacity;
} Ids;

/* Finds the best path of a chunk of whole units, in the working memory; returns its end. */
static size_t search_chunk(const Index *x, Scratch *w, const uint8_t *d, size_t pos, size_t n)
{
    if (n - pos <= SHORT && n - pos <= (size_t)x->block && !x->costs && !w->ahead) {
        search_short(x, w, d + pos, n - pos);
        return n;
    }
    size_t end = next_chunk(w, d, pos, n, (size_t)x->block);
    find_masks(x, w, d + pos, end - pos);
    find_path(x, w, d + pos, end - pos);
    return end;
}

/* Adds the piece numbers of a whole text, without the GIL; `left` bytes of this text and others are to come in all.
 * 0, or -1 when memory ran out. */
static int encode_into(const Index *x, Scratch *w, const uint8_t *d, size_t n, size_t left, Ids *out)
{
    for (size_t pos = 0; pos < n;) {
        size_t end = search_chunk(x, w, d, pos, n), m = end - pos;
        if (out->count + m > out->capacity) {
            size_t capacity = out->capacity + out->capacity / 2 + m;
            if (capacity > out->count + (left - pos)) capacity = out->count + (left - pos);
            int32_t *items = realloc(out->items, capacity * sizeof(int32_t));
            if (!items) return -1;
            out->items = items;
            out->capacity = capacity;
        }
        /* Written to the end of the room made for it, then moved up. */
        int32_t *first = out->items + out->count, *write = trace(x, w, m, first + m);
        size_t found = (size_t)(first + m - write);
        memmove(first, write, found * sizeof(int32_t));
        out->count += found;
        pos = end;
    }
    return 0;
}

/* Working memory for a call, of one that is over or new; NULL with an error set. With the GIL, as `give_back`. */
static Scratch *borrow(Index *x)
{
    Scratch *w = x->spare;
    if (w) { x->spare = w->next; return w; }
    w = calloc(1, sizeof *w);
    if (w && !make_scratch(w, (size_t)x->block, SIZE_MAX, x->costs ? 1 : 0)) return w;
    free(w);
    PyErr_NoMemory();
    return NULL;
}

static void give_back(Index *x, Scratch *w) /* as many are kept as there were calls at once */
{
    w->next = x->spare;
    x->spare = w;
}

/* The piece numbers of one text while they are made into something else. */
typedef struct {
    int32_t few[SHORT], *items; /* items: within `few` or `long_ones` */
    size_t count;
    Ids long_ones;
} Pieces;

/* Piece numbers of a text; raises. A short one needs no memory, and is over before another thread could take over. */
static int encode_bytes(Index *x, const uint8_t *d, size_t n, Pieces *out)
{
    Scratch *w = borrow(x);
    out->long_ones = (Ids){0};
    if (!w) return -1;
    int rc = 0;
    if (n <= SHORT && search_chunk(x, w, d, 0, n) == n) {
        out->items = trace(x, w, n, out->few + n);
        out->count = (size_t)(out->few + n - out->items);
    } else {
        Py_BEGIN_ALLOW_THREADS
        rc = encode_into(x, w, d, n, n, &out->long_ones);
        Py_END_ALLOW_THREADS
        out->items = out->long_ones.items;
        out->count = out->long_ones.count;
    }
    give_back(x, w);
    if (rc) { free(out->long_ones.items); PyErr_NoMemory(); }
    return rc;
}

/* The same for a text given as a Python object that holds bytes. */
static int encode_object(Index *x, PyObject *object, Pieces *out)
{
    Held data = {0};
    if (hold(object, &data, PyBUF_CONTIG_RO)) return -1;
    int rc = encode_bytes(x, data.view.buf, (size_t)data.view.len, out);
    let_go(&data);
    return rc;
}

static PyObject *Index_encode(Index *x, PyObject *object)
{
    Pieces out;
    if (encode_object(x, object, &out)) return NULL;
    PyObject *result = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)(out.count * 4));
    if (result) {
        int32_t *ids = (int32_t *)PyByteArray_AS_STRING(result);
        for (size_t i = 0; i < out.count; i++) ids[i] = x->ids[out.items[i]];
    }
    free(out.long_ones.items);
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
    Pieces out;
    if (make_numbers(x) || encode_object(x, object, &out)) return NULL;
    PyObject *result = list_of(x, out.items, out.count);
    free(out.long_ones.items);
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

static PyObject *Index_encode_text(Index *x, PyObject *object)
{
    Pieces out;
    Text text;
    if (make_numbers(x) || hold_text(object, &text)) return NULL;
    int rc = encode_bytes(x, text.data, text.size, &out);
    Py_DECREF(text.owner);
    if (rc) return NULL;
    PyObject *result = list_of(x, out.items, out.count);
    free(out.long_ones.items);
    return result;
}

/* What the lists of some texts will hold, found without the GIL: `items`, the pieces' integers one after another, and
 * which pieces come at all (`distinct`) and how often (`uses` of the working memory). */
typedef struct {
    PyObject **items;
    uint32_t *distinct;
    size_t distinct_count;
} Tally;

/* 0, or -1 when memory ran out. */
static int tally(const Index *x, Scratch *w, const Ids *found, Tally *t)
{
    size_t kinds = found->count < x->piece_count ? found->count : x->piece_count;
    if (!w->uses) w->uses = calloc(x->piece_count, sizeof(uint32_t));
    t->items = malloc((found->count + 1) * sizeof(PyObject *));
    t->distinct = malloc((kinds + 1) * sizeof(uint32_t));
    if (!w->uses || !t->items || !t->distinct) return -1;
    for (size_t i = 0; i < found->count; i++) {
        uint32_t piece = (uint32_t)found->items[i];
        t->items[i] = x->numbers[piece];
        if (!w->uses[piece]++) t->distinct[t->distinct_count++] = piece;
    }
    return 0;
}

/* Counts all references to an integer at once: threads that make lists of the same integers take turns at the memory
 * that their counts stand in, so each is written to once for a share of texts, and fetched some steps before. */
static void refer(const Index *x, Scratch *w, const Tally *t)
{
    for (size_t i = 0; i < t->distinct_count; i++) {
        if (i + AHEAD < t->distinct_count) PREFETCH(x->numbers[t->distinct[i + AHEAD]]);
        uint32_t piece = t->distinct[i];
        PyObject *number = x->numbers[piece];
        Py_SET_REFCNT(number, Py_REFCNT(number) + (Py_ssize_t)w->uses[piece]);
        w->uses[piece] = 0;
    }
}

/* Many texts with the GIL given up once: threads that take turns at it wait for each other with every text. */
static PyObject *Index_encode_lists(Index *x, PyObject *object)
{
    PyObject *items = PySequence_Tuple(object), *result = NULL;
    if (!items || make_numbers(x)) { Py_XDECREF(items); return NULL; }
    size_t count = (size_t)PyTuple_GET_SIZE(items), held = 0, left = 0, from = 0;
    Ids out = {0};
    Tally t = {0};
    Text *texts = calloc(count ? count : 1, sizeof(Text));
    Scratch *w = borrow(x);
    if (!w) goto done;
    if (!texts) { PyErr_NoMemory(); goto done; }
    for (; held < count; held++) {
        if (hold_text(PyTuple_GET_ITEM(items, (Py_ssize_t)held), &texts[held])) goto done;
        left += texts[held].size;
    }
    int rc;
    Py_BEGIN_ALLOW_THREADS
    rc = 0;
    for (size_t i = 0; !rc && i < count; i++) {
        rc = encode_into(x, w, texts[i].data, texts[i].size, left, &out);
        texts[i].end = out.count;
        left -= texts[i].size;
    }
    rc = rc || tally(x, w, &out, &t);
    Py_END_ALLOW_THREADS
    if (rc) { PyErr_NoMemory(); goto done; }
    if (!(result = PyList_New((Py_ssize_t)count))) goto forget;
    for (size_t i = 0; i < count; from = texts[i++].end) {
        PyObject *list = PyList_New((Py_ssize_t)(texts[i].end - from));
        if (!list) { Py_CLEAR(result); goto forget; } /* those made are empty still, and refer to nothing */
        PyList_SET_ITEM(result, (Py_ssize_t)i, list);
    }
    refer(x, w, &t);
    for (size_t i = from = 0; i < count; from = texts[i++].end)
        if (texts[i].end > from)
            memcpy(((PyListObject *)PyList_GET_ITEM(result, (Py_ssize_t)i))->ob_item, t.items + from,
                   (texts[i].end - from) * sizeof(PyObject *));
forget: /* the counts are 0 for the next call, whatever became of this one */
    if (!result)
        for (size_t i = 0; i < t.distinct_count; i++) w->uses[t.distinct[i]] = 0;
done:
    while (held > 0) Py_DECREF(texts[--held].owner);
    if (w) give_back(x, w);
    free(texts);
    free(out.items);
    free(t.items);
    free(t.distinct);
    Py_DECREF(items);
    return result;
}

static PyObject *Index_count(Index *x, PyObject *object)
{
    Held data = {0};
    size_t total = 0;
    if (hold(object, &data, PyBUF_CONTIG_RO)) return NULL;
    Scratch *w = borrow(x);
    if (w) {
        Py_BEGIN_ALLOW_THREADS
        const uint8_t *d = data.view.buf;
        size_t n = (size_t)data.view.len;
        for (size_t pos = 0; pos < n;) {
            size_t end = search_chunk(x, w, d, pos, n);
            for (size_t i = end - pos; i > 0; i -= w->length[i - 1]) total++;
            pos = end;
        }
        Py_END_ALLOW_THREADS
        give_back(x, w);
    }
    let_go(&data);
    return w ? PyLong_FromSize_t(total) : NULL;
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
            size_t end = search_chunk(x, &w, d, pos, n), m = end - pos;
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

/* Where the last unit starts, to which more newlines or text may be added. */
static size_t last_unit(const uint8_t *d, size_t n, size_t block)
{
    size_t pos = 0;
    while (pos < n) {
        int cut;
        size_t end = unit_end(d, pos, n, block, &cut);
        if (end == n) break;
        pos = end;
    }
    return pos;
}

static PyObject *Index_stable_prefix(Index *x, PyObject *object)
{
    Held data = {0};
    if (hold(object, &data, PyBUF_CONTIG_RO)) return NULL;
    size_t pos = last_unit(data.view.buf, (size_t)data.view.len, (size_t)x->block);
    let_go(&data);
    return PyLong_FromSize_t(pos);
}

/* Whether some segment begins with these bytes and goes on. */
static int goes_on(const Index *x, const uint8_t *d, size_t n)
{
    uint32_t s = 0;
    for (size_t i = 0; i < n; i++) {
        if (!bit(x->inner, s)) return 0;
        uint32_t next = BASE(x->slots[s]) ^ d[i];
        if (LABEL(x->slots[next]) != d[i]) return 0;
        s = next;
    }
    return bit(x->inner, s);
}

/* What the best paths have in common to all places of a unit of n bytes that a longer text's path may pass last. */
static size_t common_path(const Index *x, const uint8_t *length, const uint8_t *d, size_t n)
{
    size_t places[LONGEST + 1] = {n}, count = 1;
    for (size_t back = 1; back < LONGEST && back <= n; back++)
        if (goes_on(x, d + n - back, back)) places[count++] = n - back;
    /* At the edge of a block, the cut falls before bytes that what follows turns out to go on. */
    for (size_t cut = n; cut > 0 && cut + 3 > (size_t)x->block;)
        if (!continuation(d[--cut])) { places[count++] = cut; break; }
    for (;;) {
        size_t first = places[0], last = places[0];
        for (size_t k = 1; k < count; k++) {
            if (places[k] < first) first = places[k];
            if (places[k] > last) last = places[k];
        }
        if (first == last) return first;
        for (size_t k = 0; k < count; k++)
            if (places[k] == last) places[k] -= length[last - 1];
    }
}

static PyObject *Index_settled_prefix(Index *x, PyObject *object)
{
    Held data = {0};
    Scratch w;
    if (hold(object, &data, PyBUF_CONTIG_RO)) return NULL;
    int failed;
    size_t pos;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *d = data.view.buf;
    size_t n = (size_t)data.view.len;
    pos = last_unit(d, n, (size_t)x->block);
    d += pos;
    n -= pos;
    failed = make_scratch(&w, (size_t)x->block, n, x->costs ? 1 : 0);
    if (!failed) {
        find_masks(x, &w, d, n);
        find_path(x, &w, d, n);
        pos += common_path(x, w.length, d, n);
        free_scratch(&w);
    }
    Py_END_ALLOW_THREADS
    let_go(&data);
    return failed ? PyErr_NoMemory() : PyLong_FromSize_t(pos);
}
