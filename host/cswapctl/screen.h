/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * screen.h - a terminal, drawn on as a whole.
 */
#ifndef CSWAPCTL_SCREEN_H
#define CSWAPCTL_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

struct screen {
	int rows, columns;
	int row;			/* the next */
	bool utf8;
};

/* Take the terminal; it's given back at the end, whatever ends us but SIGKILL. */
bool screen_open(struct screen *screen);
void screen_close(void);

/* A frame: its lines one by one, cut at the edge; they appear all at once. */
void screen_begin(struct screen *screen);
void screen_line(struct screen *screen, bool bright, const char *line);
void screen_end(struct screen *screen);

/* Wait until @deadline_ms: the key that was hit, 0: none, -1: it's the end. */
int screen_key(uint64_t deadline_ms);

/*
 * @count values as a line of as many small bars, the highest for @full and blanks
 * for UINT64_MAX, in @text: 3 bytes each and one more.
 */
void screen_sparkline(const struct screen *screen, char *text, const uint64_t *values,
		      unsigned int count, uint64_t full);

#endif
