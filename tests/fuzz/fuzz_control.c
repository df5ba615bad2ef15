// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_control.c - what may arrive at the control socket, in what pieces, from how many clients.
 *
 * Behind it is what answers in the daemon. What is answered is held to be one line of JSON.
 */
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "operator/command.h"
#include "common/ctl.h"
#include "fuzz.h"

/* One more than there is room for. */
#define MAX_CLIENTS (CTL_MAX_CLIENTS + 1)
#define REPLY_BYTES 8192
#define NOBODY 65534

static struct fuzz_bench *b;
static struct command_context context;
static struct conf conf;
static struct measure measure = MEASURE_NONE;
static struct health health;
static struct ctl *ctl;
static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int client[MAX_CLIENTS];
static bool amid_line[MAX_CLIENTS];	/* what was read last ended in one */

static void open_all(void)
{
	struct vhost_user_config config = { 0 };

	b = fuzz_bench();
	memset(client, -1, sizeof(client));
	FUZZ_CHECK(!memory_add(&b->memory, FUZZ_GPA, FUZZ_UVA, FUZZ_BYTES, 0, b->memory_fd));
	conf.slots = FUZZ_CAPACITY;
	conf.release = CONF_RELEASE_PUNCH;
	conf.block_bytes = b->limits.block_bytes;
	config.limits = b->limits;
	config.memory = &b->memory;
	config.balloon = &b->balloon;
	config.workers = b->workers;
	context = (struct command_context) {
		.conf = &conf, .memory = &b->memory, .measure = &measure,
		.health = &health, .vu = vhost_user_new(&config), .balloon = &b->balloon, .workers = b->workers,
		.store = b->store,
	};
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/fuzz-control.%d", (int)getpid());
	ctl = ctl_open(address.sun_path, &command_ops, &context);
	FUZZ_CHECK(ctl);
	/* Its mode keeps others out already; who they are is asked as well. */
	FUZZ_CHECK(!chmod(address.sun_path, 0666));
}

static void close_all(void)
{
	if (ctl)
		ctl_close(ctl);
}

/* All that the server can do without waiting. */
static void step(void)
{
	struct pollfd fds[CTL_MAX_POLLS];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		FUZZ_CHECK(ctl_timeout_ms(ctl) >= -1);
		if (!poll(fds, ctl_prepare_poll(ctl, fds), 0))
			return;
		ctl_run(ctl, fds);
	}
}

/* The first line of what was read, if all of it was. */
static void check_reply(char *reply)
{
	struct json_object *object;
	char *end = strchr(reply, '\n');

	if (!end)
		return;
	*end = '\0';
	object = json_tokener_parse(reply);
	FUZZ_CHECK(json_object_is_type(object, json_type_object));
	json_object_put(object);
}

static void hear(unsigned int i)
{
	char reply[REPLY_BYTES];
	ssize_t n = recv(client[i], reply, sizeof(reply) - 1, MSG_DONTWAIT);
	bool begins = !amid_line[i];

	if (n <= 0)
		return;
	reply[n] = '\0';
	amid_line[i] = reply[n - 1] != '\n';
	if (begins)
		check_reply(reply);
}

static void join(unsigned int i)
{
	amid_line[i] = false;
	client[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FUZZ_CHECK(!connect(client[i], (struct sockaddr *)&address, sizeof(address)));
	step();
}

/* Of another user, if we may be one for a moment; it's not to be answered. */
static void join_as_nobody(unsigned int i)
{
	if (client[i] >= 0 || seteuid(NOBODY)) {
		if (client[i] < 0)
			join(i);
		return;
	}
	client[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FUZZ_CHECK(!connect(client[i], (struct sockaddr *)&address, sizeof(address)));
	FUZZ_CHECK(!seteuid(0));
	step();
	FUZZ_CHECK(recv(client[i], &(char){ 0 }, 1, MSG_DONTWAIT) == 0);
}

static void leave(unsigned int i)
{
	if (client[i] >= 0)
		close(client[i]);
	client[i] = -1;
}

/* Send a piece, and let the server have it. Now and then nobody reads what it says. */
static void say(struct fuzz_input *in, unsigned int i, uint8_t how)
{
	char text[2048];
	size_t bytes = fuzz_u8(in);

	fuzz_take(in, text, bytes);
	/* The longest line is longer than a piece. */
	for (; how & 1 && bytes < sizeof(text); bytes++)
		text[bytes] = 'x';
	(void)!send(client[i], text, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
	step();
	if (!(how & 2))
		hear(i);
}

/* What the guest claims is part of an answer. */
static void take_report(struct fuzz_input *in)
{
	struct device_report report;

	fuzz_take(in, &report, sizeof(report));
	balloon_take_report(&b->balloon, &report);
}

/* Until a watch is due, if one soon is. */
static void await_watch(void)
{
	struct pollfd fds[CTL_MAX_POLLS];
	int timeout_ms = ctl_timeout_ms(ctl);

	if (timeout_ms < 0 || timeout_ms > 100)
		return;
	poll(fds, ctl_prepare_poll(ctl, fds), timeout_ms);
	ctl_run(ctl, fds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned int i;
	uint8_t how;

	if (!ctl) {
		open_all();
		atexit(close_all);
	}
	how = fuzz_u8(&in);
	conf.release = how & 1 ? CONF_RELEASE_OFF : CONF_RELEASE_PUNCH;
	if (how & 2)
		take_report(&in);
	else
		balloon_forget(&b->balloon);
	while (in.left) {
		uint8_t what = fuzz_u8(&in);

		i = what % MAX_CLIENTS;
		if (what / MAX_CLIENTS == 15)
			join_as_nobody(i);
		else if (client[i] < 0)
			join(i);
		if (what / MAX_CLIENTS == 14)
			leave(i);
		else
			say(&in, i, what / MAX_CLIENTS < 8 ? 0 : what / MAX_CLIENTS);
	}
	if (how & 4)
		await_watch();
	for (i = 0; i < MAX_CLIENTS; i++)
		leave(i);
	step();
	return 0;
}
