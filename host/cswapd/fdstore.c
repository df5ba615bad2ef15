// SPDX-License-Identifier: GPL-2.0-only
/*
 * fdstore.c - descriptors that systemd keeps for the next daemon.
 *
 * The unit's FileDescriptorStoreMax= says whether and how many. They are passed
 * like those of socket units, and told from them by our prefix. systemd is asked
 * not to poll them: a front end that hung up is for the next daemon to find out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "fdstore.h"
#include "log.h"

#define PREFIX "cswapd-"

bool fdstore_exists(void)
{
	return getenv("NOTIFY_SOCKET");
}

void fdstore_keep(const char *name, int fd)
{
	char text[128];

	if (!fdstore_exists())
		return;
	/* What is under the name already would stay beside it. */
	fdstore_drop(name);
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=" PREFIX "%s",
		 name);
	if (sd_pid_notify_with_fds(0, 0, text, &fd, 1) < 0)
		log_warning("systemd doesn't keep a descriptor: a restart will lose the front end");
}

void fdstore_drop(const char *name)
{
	if (fdstore_exists())
		sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=" PREFIX "%s", name);
}

int fdstore_take(void (*found)(void *context, const char *name, int fd),
		 void *context)
{
	const size_t prefix = strlen(PREFIX);
	char **names = NULL;
	int i, count, socket = -1;

	count = sd_listen_fds_with_names(1, &names);
	for (i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (!strncmp(names[i], PREFIX, prefix))
			found(context, names[i] + prefix, fd);
		else if (socket < 0)
			socket = fd;
		free(names[i]);
	}
	free(names);
	return socket;
}
