// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswapd.c - the store daemon of one guest.
 */
#include "daemon.h"

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, NULL);
}
