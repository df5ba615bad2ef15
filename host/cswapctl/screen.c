// SPDX-License-Identifier: GPL-2.0-only
/*
 * screen.c - a terminal, drawn on as a whole.
 *
 * This uses only the few sequences that every terminal of today knows, also through
 * tmux and ssh. A frame is gathered and written at once, over the one before it, each
 * line ending with "clear to the end": nothing is ever blank in between, so
 * nothing flickers. Keys, signals and a new size come through one poll; signals
 * are blocked except in that poll, so none is missed.
 */
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "common/clock.h"
#include "screen.h"

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define KEY_RESIZED 12			/* what ^L does, too */

static struct termios before;
static sigset_t outside;
static volatile sig_atomic_t ended, resized;

static void note_signal(int number)
{
	if (number == SIGWINCH)
		resized = 1;
	else
		ended = 1;
}

static void catch_signals(void)
{
	const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
	struct sigaction action = { .sa_handler = note_signal };
	sigset_t ours;
	size_t i;

	sigemptyset(&ours);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaction(numbers[i], &action, NULL);
		sigaddset(&ours, numbers[i]);
	}
	sigprocmask(SIG_BLOCK, &ours, &outside);
}

bool screen_open(struct screen *screen)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    tcgetattr(STDIN_FILENO, &before))
		return false;
	setlocale(LC_CTYPE, "");
	screen->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	catch_signals();
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	fputs(ENTER, stdout);
	fflush(stdout);
	return true;
}

void screen_close(void)
{
	fputs(LEAVE, stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	sigprocmask(SIG_SETMASK, &outside, NULL);
}

void screen_begin(struct screen *screen)
{
	struct winsize size;

	screen->rows = 24;
	screen->columns = 80;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col) {
		screen->rows = size.ws_row;
		screen->columns = size.ws_col;
	}
	screen->row = 0;
	fputs("\033[H", stdout);
}

/* Every character that we print has one column. */
static int bytes_of_columns(const char *line, int columns)
{
	int bytes = 0;

	while (line[bytes] && columns) {
		bytes++;
		while ((line[bytes] & 0xc0) == 0x80)
			bytes++;
		columns--;
	}
	return bytes;
}

void screen_line(struct screen *screen, bool bright, const char *line)
{
	if (screen->row >= screen->rows)
		return;
	printf("%s%s%.*s\033[0m\033[K", screen->row++ ? "\r\n" : "",
	       bright ? "\033[7m" : "", bytes_of_columns(line, screen->columns), line);
}

void screen_end(struct screen *screen)
{
	(void)screen;
	fputs("\033[J", stdout);
	fflush(stdout);
}

int screen_key(uint64_t deadline_ms)
{
	struct pollfd pollfd = { .fd = STDIN_FILENO, .events = POLLIN };
	uint64_t now = clock_now_ms();
	uint64_t left = deadline_ms > now ? deadline_ms - now : 0;
	struct timespec wait = { (time_t)(left / 1000), (long)(left % 1000) * 1000000 };
	unsigned char key;
	int ready;

	ready = ppoll(&pollfd, 1, &wait, &outside);
	if (ended || ferror(stdout))
		return -1;
	if (resized) {
		resized = 0;
		return KEY_RESIZED;
	}
	if (ready <= 0)
		return 0;
	return read(STDIN_FILENO, &key, 1) == 1 ? key : -1;
}

void screen_sparkline(const struct screen *screen, char *text, const uint64_t *values,
		      unsigned int count, uint64_t full)
{
	static const char ascii[] = "_.:-=+*#";
	unsigned int i, level;

	for (i = 0; i < count; i++) {
		if (values[i] == UINT64_MAX) {
			*text++ = ' ';
			continue;
		}
		level = full ? (unsigned int)((double)values[i] * 7.99 / (double)full) : 0;
		if (level > 7)
			level = 7;
		/* U+2581 to U+2588 */
		if (screen->utf8)
			text += sprintf(text, "\xe2\x96%c", 0x81 + level);
		else
			*text++ = ascii[level];
	}
	*text = '\0';
}
