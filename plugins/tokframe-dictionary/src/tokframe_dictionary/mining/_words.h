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

/* The kind of the character that begins at i, for words that no segment crosses: bytes above 127 are letters but for
 * spaces, and for the marks of Latin-1, of general punctuation, of Chinese and Japanese, and of full width. */
static int kind_within(const uint8_t *d, size_t n, size_t i)
{
    uint8_t first = d[i], second = i + 1 < n ? d[i + 1] : 0, third = i + 2 < n ? d[i + 2] : 0;
    if (first < 0x80) return kind_of(first);
    if (first == 0xc2) return second == 0xa0 ? SPACE : second == 0xaa || second == 0xb5 || second == 0xba ? LETTER : MARK;
    if (first == 0xe2 && second == 0x80)
        return third <= 0x8b || third == 0xaf ? SPACE : third == 0x8c || third == 0x8d ? LETTER : MARK;
    if (first == 0xe3 && second == 0x80)
        return third == 0x80 ? SPACE : third >= 0x85 && third <= 0x87 ? LETTER : MARK;
    if (first == 0xef && second == 0xbc)
        return third <= 0x8f || (third >= 0x9a && third <= 0xa0) || third >= 0xbb ? MARK : LETTER;
    if (first == 0xef && second == 0xbd) return third == 0x80 || third >= 0x9b ? MARK : LETTER;
    return LETTER;
}

static inline int apostrophe(const uint8_t *d, size_t n, size_t i)
{
    return d[i] == '\'' || (d[i] == 0xe2 && i + 2 < n && d[i + 1] == 0x80 && d[i + 2] == 0x99);
}

/* The borders of words that no segment crosses: runs of one kind, letters with the apostrophes between them; a space
 * goes with the word behind it, all but the last of several are a word, and newlines go with marks before them. */
static void find_inner_words(const uint8_t *d, size_t n, uint8_t *words)
{
    int before = NEWLINE;
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && continuation(d[end])) words[end++] = 0;
        int kind = kind_within(d, n, i), next = end < n ? kind_within(d, n, end) : NEWLINE, border;
        if (kind == MARK && before == LETTER && next == LETTER && apostrophe(d, n, i)) kind = LETTER;
        if (kind == NEWLINE) border = before != NEWLINE && before != MARK;
        else if (before == SPACE) border = kind == SPACE && next != SPACE && next != NEWLINE;
        else border = kind != before;
        words[i] = !i || border || (before == NEWLINE && kind != NEWLINE) ? BORDER : 0;
        before = kind;
        i = end;
    }
}

/* words[i], i from 0 to n - 1: BORDER where a word begins (a space belongs to the word behind it; bytes above 127 to
 * both their neighbors), else 0. */
static void find_words(const uint8_t *d, size_t n, uint8_t *words)
{
    int before = NEWLINE;
    for (size_t i = 0; i < n; i++) {
        int kind = kind_of(d[i]), border = before == SPACE ? kind == SPACE : kind != before;
        words[i] = !i || (border && before != FOREIGN && kind != FOREIGN) || (before == NEWLINE && kind != NEWLINE) ?
                   BORDER : 0;
        before = kind;
    }
}

/* Which occurrences of a substring count. */
enum { ANY, PHRASES, WITHIN };

/* The borders of words, and how far the next one is, for a rule that is not ANY. */
static void lay_out_words(const uint8_t *d, size_t n, int rule, uint8_t *words)
{
    if (rule == WITHIN) find_inner_words(d, n, words);
    else find_words(d, n, words);
    words[n] = BORDER;
    for (size_t i = n, far = FAR; i-- > 0;) {
        far = words[i + 1] & BORDER ? 1 : far < FAR ? far + 1 : FAR;
        words[i] |= (uint8_t)far;
    }
}

/* Whether `length` bytes (at most 16) from i on lie within one word, or are whole words where the rule is PHRASES. */
static inline int keeps_words(const uint8_t *words, int rule, size_t i, size_t length)
{
    return (size_t)(words[i] & FAR) >= length || (rule == PHRASES && (words[i] & words[i + length] & BORDER));
}
