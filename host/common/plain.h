/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * plain.h - words that somebody else chose, fit for a log and a terminal.
 *
 * A newline begins a line that looks like ours, and an escape sequence steers a terminal; C1's controls,
 * two bytes each in UTF-8, do so as well.
 */
#ifndef CSWAP_COMMON_PLAIN_H
#define CSWAP_COMMON_PLAIN_H

#include <stdio.h>

/* How many bytes the control character has that @text begins with; 0: it begins with none. */
static inline unsigned int plain_control(const char *text)
{
	const unsigned char first = (unsigned char)text[0];

	if (first == 0xc2)
		return (text[1] & 0xe0) == 0x80 ? 2 : 0;
	return (first && first < ' ') || first == 0x7f;
}

/* Each control character becomes a question mark. */
static inline void plain_make(char *text)
{
	unsigned int control;
	char *to = text;

	for (; *text; text += control ? control : 1) {
		control = plain_control(text);
		*to = *text;
		if (control)
			*to = '?';
		to++;
	}
	*to = '\0';
}

static inline void plain_put(FILE *to, const char *text)
{
	unsigned int control;

	for (; *text; text += control ? control : 1) {
		control = plain_control(text);
		putc(control ? '?' : *text, to);
	}
}

#endif
