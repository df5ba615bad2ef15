// SPDX-License-Identifier: GPL-2.0-only
/*
 * print.c - JSON for --json, on standard output.
 */
#include <stdio.h>

#include "common/plain.h"
#include "print.h"

void print_json(struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE);
	unsigned int control;

	for (; *text; text += control ? control : 1) {
		control = plain_control(text);
		/* The last of its bytes is its number. */
		if (control)
			printf("\\u%04x", (unsigned int)(unsigned char)text[control - 1]);
		else
			putchar(*text);
	}
	putchar('\n');
	fflush(stdout);
}
