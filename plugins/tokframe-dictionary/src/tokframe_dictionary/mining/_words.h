/* Where words begin in a text, and which substrings keep them whole: the compiled form of `words.py`. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SPACE, LETTER, DIGIT, MARK, NEWLINE, FOREIGN };
enum { BORDER = 0x80, FAR = 0x7f };

static inline int continuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

static int kind_of(uint8_t byte)
{
    if (byte >= 0x80) return FOREIGN;
    if (byte == '\n') return NEWLINE;
    if (byte == ' ' || byte == '\t' || byte == '\r') return SPACE;
    if (byte >= '0' && byte <= '9') return DIGIT;
    return (byte | 0x20) < 'a' || (byte | 0x20) > 'z' ? MARK : LETTER;
}

/* words[i], i from 0 to n: BORDER where a word begins (a space belongs to the word behind it; bytes above 127 to both
 * their neighbours), and how far the next border behind i is, at most FAR. */
static void find_words(const uint8_t *d, size_t n, uint8_t *words)
{
    int before = NEWLINE;
    for (size_t i = 0; i < n; i++) {
        int kind = kind_of(d[i]), border = before == SPACE ? kind == SPACE : kind != before;
        words[i] = !i || (border && before != FOREIGN && kind != FOREIGN) || (before == NEWLINE && kind != NEWLINE) ?
                   BORDER : 0;
        before = kind;
    }
    words[n] = BORDER;
    for (size_t i = n, far = FAR; i-- > 0;) {
        far = words[i + 1] & BORDER ? 1 : far < FAR ? far + 1 : FAR;
        words[i] |= (uint8_t)far;
    }
}

/* Whether `length` bytes (at most 16) from i on are whole words or lie within one. */
static inline int keeps_words(const uint8_t *words, size_t i, size_t length)
{
    return (size_t)(words[i] & FAR) >= length || (words[i] & words[i + length] & BORDER);
}
