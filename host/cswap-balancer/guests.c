// SPDX-License-Identifier: GPL-2.0-only
/*
 * guests.c - the guests' daemons: found by their sockets, asked, told.
 *
 * Theory of operation: DIR/NAME/control is the control socket of guest NAME's daemon. Each
 * has a connection of its own, non-blocking, with one request under way at most; a daemon
 * that doesn't answer for a few intervals is late, and its connection is closed and tried anew
 * with each tick. So neither the balancer nor a daemon waits for another daemon. What a daemon
 * says is checked here, and only here.
 *
 * systemd removes a daemon's folder when the daemon ends, also when it starts the daemon again. So a guest
 * whose folder is gone is late for a while, as one whose daemon doesn't answer: its VMM runs on, and what it
 * holds, or may take, is charged still. So is a guest whose VMM has left its daemon, for the daemon is back
 * before the VMM has connected again. It's forgotten when folder or VMM stay away, but for what an
 * operator has said of it (modes.c). Till then a daemon that was restarted goes on where it was: its
 * target is the one that the balancer tells it anew, or that it has kept.
 *
 * Who came first is admitted first. So the order in which the guests came is kept in a file that outlives the
 * balancer, as notes are (notes.c). The next balancer begins with the guests that are in the file, all of them
 * late: one whose daemon is being restarted just then keeps its place, too.
 *
 * When the balancer ends, the targets stay: together the guests fit into the host, and would not
 * any more if each guest took its memory back. For this reason targets have no lease; the unit
 * starts the balancer again, and the balancer goes on from the targets that it finds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/virtio_cswap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "guests.h"
#include "common/clock.h"
#include "common/log.h"

/* Without an event the folder is looked at this often. */
#define SCAN_TICKS 5
#define LATE_INTERVALS 5
#define MIN_LATE_MS 3000
#define MAX_DEPTH 4
/*
 * A daemon that is started again has its folder back after half a second (RestartSec= of its unit), or after an
 * operator's few seconds, and its VMM tries to connect each few seconds (reconnect= of QEMU's chardev). A guest that
 * has ended keeps memory from others for as long.
 */
#define GONE_MS 20000

/* --- which guests are there --- */

struct guest *guests_find(const struct guests *guests, const char *name)
{
	size_t i;

	for (i = 0; i < guests->policy.count; i++)
		if (!strcmp(guests->guest[i].name, name))
			return &guests->guest[i];
	return NULL;
}

static bool grow(void *array, size_t room, size_t size)
{
	void **at = array, *more = realloc(*at, room * size);

	if (more)
		*at = more;
	return more;
}

static bool make_room(struct guests *guests)
{
	size_t room = guests->room ? 2 * guests->room : 16;

	if (guests->policy.count < guests->room)
		return true;
	if (!grow(&guests->guest, room, sizeof(*guests->guest)) ||
	    !grow(&guests->sample, room, sizeof(*guests->sample)) ||
	    !grow(&guests->policy.guest, room, sizeof(*guests->policy.guest)) ||
	    !grow(&guests->policy.bid, room, sizeof(*guests->policy.bid)))
		return false;
	guests->room = room;
	return true;
}

/* As long as no operator says otherwise. */
static enum policy_mode first_mode(const struct guest *guest)
{
	return guest->config->manage ? POLICY_AUTO : POLICY_MODE_PAUSED;
}

/* The last in the order; NULL (said why): it can't be managed. */
static struct guest *add(struct guests *guests, const char *name)
{
	size_t i = guests->policy.count;
	struct guest *guest;

	if (strlen(name) >= sizeof(guest->name) || !make_room(guests)) {
		log_warning("guest %s: can't be managed: no memory, or too long a name", name);
		return NULL;
	}
	guest = &guests->guest[i];
	*guest = (struct guest) {
		.fd = -1, .config = config_find(guests->config, name),
	};
	memcpy(guest->name, name, strlen(name));
	guests->sample[i] = (struct policy_guest_sample) {
		.late = true, .mode = modes_get(guests->modes, guest->name, first_mode(guest)),
	};
	policy_forget(&guests->policy.guest[i]);
	guests->policy.count++;
	guests->reordered = true;
	return guest;
}

static void hang_up(struct guest *guest)
{
	if (guest->fd >= 0)
		close(guest->fd);
	free(guest->in);
	guest->in = NULL;
	guest->fd = -1;
	guest->in_bytes = 0;
	guest->awaiting = false;
}

static void drop(struct guests *guests, size_t i)
{
	size_t rest = guests->policy.count - i - 1;

	log_info("guest %s: gone", guests->guest[i].name);
	hang_up(&guests->guest[i]);
	memmove(&guests->guest[i], &guests->guest[i + 1], rest * sizeof(*guests->guest));
	memmove(&guests->sample[i], &guests->sample[i + 1], rest * sizeof(*guests->sample));
	memmove(&guests->policy.guest[i], &guests->policy.guest[i + 1],
		rest * sizeof(*guests->policy.guest));
	guests->policy.count--;
	guests->reordered = true;
}

/* Nobody hears of it until its folder is back. */
static void lose(struct guests *guests, size_t i, uint64_t now_ms)
{
	struct guest *guest = &guests->guest[i];

	log_info("guest %s: its folder is gone: it's late", guest->name);
	hang_up(guest);
	guest->gone_ms = now_ms;
	guests->sample[i].late = true;
}

/* --- the order in which they came --- */

static void save_order(struct guests *guests)
{
	char new[PATH_MAX + 8];
	FILE *file;
	bool good;
	size_t i;

	if (!guests->reordered)
		return;
	guests->reordered = false;
	if (!guests->order_path[0])
		return;
	snprintf(new, sizeof(new), "%s.new", guests->order_path);
	file = fopen(new, "we");
	/* A line has room for one name, and a name may have any byte. */
	for (i = 0; file && i < guests->policy.count; i++)
		if (!strchr(guests->guest[i].name, '\n'))
			fprintf(file, "%s\n", guests->guest[i].name);
	good = file && !ferror(file);
	if (file && fclose(file))
		good = false;
	if (!good || rename(new, guests->order_path))
		log_warning("can't write %s: %s: when the balancer is restarted, guests are admitted in another order",
			    guests->order_path, strerror(errno));
}

/* Those of an earlier balancer, which are still to be found. */
static void load_order(struct guests *guests, uint64_t now_ms)
{
	FILE *file = fopen(guests->order_path, "re");
	struct guest *guest;
	char line[128];

	if (!file && errno != ENOENT)
		log_warning("can't read %s: %s: guests are admitted in another order than before",
			    guests->order_path, strerror(errno));
	while (file && fgets(line, sizeof(line), file) && guests->policy.count < guests->most) {
		char *end = strchr(line, '\n');

		if (end)
			*end = '\0';
		if (!end || !line[0] || line[0] == '.' || strchr(line, '/') || guests_find(guests, line))
			continue;
		guest = add(guests, line);
		if (guest)
			guest->gone_ms = now_ms;
	}
	if (file)
		fclose(file);
}

/* --- looking for them --- */

/* How many there is no room for isn't said with every look. */
static void note_left_out(struct guests *guests, size_t left_out)
{
	if (left_out > guests->left_out)
		log_err("%zu guests aren't managed: there are descriptors for %zu (LimitNOFILE= of the unit)",
			left_out, guests->most);
	guests->left_out = left_out;
}

/* The folder that is locked may have been replaced, or removed. */
static bool is_locked(const struct guests *guests)
{
	struct stat ours, now;

	return guests->lock_fd >= 0 && !fstat(guests->lock_fd, &ours) &&
	       !stat(guests->config->guests_dir, &now) && ours.st_dev == now.st_dev &&
	       ours.st_ino == now.st_ino;
}

/* 0, or an error; a folder that isn't there has no guests to be told anything. */
static int lock(struct guests *guests)
{
	int fd, error = 0;

	if (is_locked(guests))
		return 0;
	fd = open(guests->config->guests_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		error = errno;
		close(fd);
		return error;
	}
	if (guests->lock_fd >= 0)
		close(guests->lock_fd);
	guests->lock_fd = fd;
	return 0;
}

static const char *lock_error(int error)
{
	return error == EWOULDBLOCK ?
		"another cswap-balancer manages the guests there (lslocks says which process has the folder's lock)" :
		strerror(error);
}

static void see(struct guest *guest)
{
	guest->seen = true;
	guest->gone_ms = 0;
	if (!guest->found)
		log_info("guest %s: found", guest->name);
	guest->found = true;
}

/* 0, or what an error there was: then not all were seen. */
static int look(struct guests *guests)
{
	DIR *dir = opendir(guests->config->guests_dir);
	struct dirent *entry;
	struct guest *guest;
	size_t left_out = 0;
	int error;

	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
	while ((errno = 0, entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN &&
		     entry->d_type != DT_LNK))
			continue;
		modes_see(guests->modes, entry->d_name);
		guest = guests_find(guests, entry->d_name);
		if (!guest && guests->policy.count == guests->most)
			left_out++;
		else if (!guest)
			guest = add(guests, entry->d_name);
		if (guest)
			see(guest);
	}
	error = errno;
	closedir(dir);
	note_left_out(guests, left_out);
	return error;
}

static bool is_over(uint64_t since_ms, uint64_t now_ms)
{
	return since_ms && now_ms - since_ms >= GONE_MS;
}

static bool is_forgotten(const struct guest *guest, uint64_t now_ms)
{
	return is_over(guest->gone_ms, now_ms) || is_over(guest->left_ms, now_ms);
}

/* One is to be forgotten, unless it's seen now. */
static bool is_look_due(const struct guests *guests, uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < guests->policy.count; i++)
		if (is_forgotten(&guests->guest[i], now_ms))
			return true;
	return false;
}

/* Its folder may be there still: for the next guest, which comes last in the order. */
static void forget(struct guests *guests, size_t i)
{
	bool is_there = guests->guest[i].seen;
	struct guest *next;
	char name[sizeof(next->name)];

	memcpy(name, guests->guest[i].name, sizeof(name));
	drop(guests, i);
	next = is_there ? add(guests, name) : NULL;
	if (next)
		see(next);
}

/*
 * A guest that isn't seen is late, and then gone; but none goes because the balancer can't look. What forget()
 * appends isn't looked at again, since the loop goes down.
 */
static void scan(struct guests *guests, uint64_t now_ms)
{
	size_t i;
	int error;

	for (i = 0; i < guests->policy.count; i++)
		guests->guest[i].seen = false;
	error = guests->lockless ? 0 : lock(guests);
	error = error ? error : look(guests);
	if (error) {
		log_limited(&guests->rate, LOG_WARNING, "can't read %s: %s: the guests are taken for the same",
			    guests->config->guests_dir, lock_error(error));
		return;
	}
	for (i = guests->policy.count; i-- > 0;) {
		if (is_forgotten(&guests->guest[i], now_ms))
			forget(guests, i);
		else if (!guests->guest[i].seen && !guests->guest[i].gone_ms)
			lose(guests, i, now_ms);
	}
	modes_end_look(guests->modes, now_ms);
	save_order(guests);
}

/* True: something in the folder has changed. */
static bool take_events(struct guests *guests)
{
	char events[4096];
	bool some = false;

	if (!guests->watching)
		guests->watching = inotify_add_watch(guests->inotify_fd, guests->config->guests_dir,
			IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_ONLYDIR) >= 0;
	while (read(guests->inotify_fd, events, sizeof(events)) > 0)
		some = true;
	/* The folder itself may be another by now: watching it again is no harm. */
	if (some)
		guests->watching = false;
	return some;
}

/* --- what a daemon says --- */

static struct json_object *member(struct json_object *from, const char *name)
{
	struct json_object *value = NULL;

	if (json_object_is_type(from, json_type_object))
		json_object_object_get_ex(from, name, &value);
	return value;
}

/* False: it isn't known, and @to is 0. */
static bool number(struct json_object *from, const char *name, uint64_t *to)
{
	struct json_object *value = member(from, name);

	*to = 0;
	if (!json_object_is_type(value, json_type_int))
		return false;
	*to = json_object_get_uint64(value);
	return true;
}

static uint32_t read_stopped(struct json_object *report)
{
	static const char *const names[] = {
		[VIRTIO_CSWAP_STOP_NONE] = "none", [VIRTIO_CSWAP_STOP_WORKING] = "working",
		[VIRTIO_CSWAP_STOP_FLOOR] = "floor", [VIRTIO_CSWAP_STOP_MEMORY] = "memory",
		[VIRTIO_CSWAP_STOP_PRESSURE] = "pressure", [VIRTIO_CSWAP_STOP_OOM] = "oom",
		[VIRTIO_CSWAP_STOP_DEVICE] = "device", [VIRTIO_CSWAP_STOP_OWNER] = "owner",
	};
	struct json_object *value = member(report, "stopped");
	const char *word = json_object_is_type(value, json_type_string) ?
				   json_object_get_string(value) : "";
	uint32_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i] && !strcmp(names[i], word))
			return i;
	return VIRTIO_CSWAP_STOP_WORKING;
}

static void read_report(struct guest *guest, struct policy_guest_sample *to,
			struct json_object *report)
{
	to->has_report = report;
	to->stopped = read_stopped(report);
	number(report, "number", &to->report_number);
	number(report, "age_ms", &guest->report_age_ms);
	number(report, "available_bytes", &to->available);
	number(report, "swap_in_ns", &to->swap_in_ns);
	number(report, "refault_pages", &to->refaults);
}

/*
 * The VMM's cgroup says what the guest uses, but for the cache of the VMM's files, which the host has
 * available. The files of the guest's memory say it if all of its memory is in them, as it is where
 * "punch" gives it back: a confidential guest's private memory is in none.
 */
static void read_used(struct policy_guest_sample *to, struct json_object *status)
{
	struct json_object *measured = member(status, "measured"), *release = member(status, "release");
	bool is_in_files = json_object_is_type(release, json_type_string) &&
			   !strcmp(json_object_get_string(release), "punch");
	uint64_t cache;

	to->has_used = number(measured, "cgroup_bytes", &to->used);
	if (to->has_used && number(measured, "cgroup_cache_bytes", &cache))
		to->used -= cache < to->used ? cache : to->used;
	if (!to->has_used && is_in_files)
		to->has_used = number(measured, "memory_file_bytes", &to->used);
}

/*
 * A daemon without a guest's memory: the VMM that was there may be back in a moment, and holds its memory meanwhile. So
 * the sample stays as it was till then, and the guest is late.
 */
static bool has_left(struct guest *guest, uint64_t memory, uint64_t now_ms)
{
	if (memory || !guest->memory) {
		guest->left_ms = 0;
	} else if (!guest->left_ms) {
		log_info("guest %s: its VMM has left its daemon: it's late", guest->name);
		guest->left_ms = now_ms;
	}
	return guest->left_ms;
}

/* The status, into the sample. False: it's none. */
static bool read_status(struct guest *guest, struct policy_guest_sample *to,
			struct json_object *status, uint64_t now_ms)
{
	struct json_object *balloon = member(status, "balloon");
	uint64_t memory, asked;

	if (!json_object_get_boolean(member(status, "ok")) ||
	    !json_object_is_type(balloon, json_type_string) ||
	    !number(status, "target_bytes", &asked))
		return false;
	number(status, "memory_bytes", &memory);
	if (has_left(guest, memory, now_ms))
		return true;
	to->asked = asked;
	guest->memory = memory;
	snprintf(guest->balloon, sizeof(guest->balloon), "%s", json_object_get_string(balloon));
	to->ready = memory && !strcmp(guest->balloon, "ready");
	number(member(status, "claimed"), "released_bytes", &to->released);
	read_used(to, status);
	number(member(status, "store"), "loaded_pages", &to->loaded_pages);
	number(member(status, "store"), "tags_memory_bytes", &to->tags);
	read_report(guest, to, member(status, "report"));
	to->size = guest->memory;
	to->floor = config_bytes(&guest->config->floor, to->size);
	to->shares = guest->config->shares;
	guest->has_status = true;
	return true;
}

static bool take_line(struct guest *guest, struct policy_guest_sample *sample, char *line,
		      size_t bytes, uint64_t now_ms)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *status;
	bool good;

	if (!tokener)
		return false;
	status = json_tokener_parse_ex(tokener, line, (int)bytes);
	json_tokener_free(tokener);
	good = read_status(guest, sample, status, now_ms);
	/* A refusal is an answer, too: the target stays as it was, and is told again. */
	if (!good && json_object_is_type(member(status, "error"), json_type_string)) {
		log_limited(&guest->rate, LOG_WARNING, "guest %s: its daemon refuses: %s", guest->name,
			    json_object_get_string(member(status, "error")));
		good = true;
	}
	json_object_put(status);
	return good;
}

/* --- connections --- */

/* Whose fault it is: the daemon's is seen by its being late. */
static void note_failure(struct guests *guests, const struct guest *guest)
{
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
		log_limited(&guests->rate, LOG_WARNING, "guest %s: can't ask its daemon: %s", guest->name,
			    strerror(errno));
}

static void open_connection(struct guests *guests, struct guest *guest, uint64_t now_ms)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s/control",
			 guests->config->guests_dir, guest->name);

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return;
	guest->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (guest->fd < 0) {
		note_failure(guests, guest);
		return;
	}
	guest->in = malloc(GUESTS_LINE_BYTES);
	if (!guest->in || connect(guest->fd, (const struct sockaddr *)&address, sizeof(address))) {
		note_failure(guests, guest);
		hang_up(guest);
	}
	guest->sent_ms = now_ms;
}

/* A request is far smaller than a socket's buffer: all or nothing. */
static void request(struct guest *guest, const char *text, uint64_t now_ms)
{
	size_t bytes = strlen(text);

	if (send(guest->fd, text, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)bytes) {
		hang_up(guest);
		return;
	}
	guest->awaiting = true;
	guest->sent_ms = now_ms;
}

static void receive(struct guest *guest, struct policy_guest_sample *sample, uint64_t now_ms)
{
	ssize_t n = recv(guest->fd, guest->in + guest->in_bytes,
			 GUESTS_LINE_BYTES - guest->in_bytes, MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(guest);
		return;
	}
	guest->in_bytes += (size_t)n;
	end = memchr(guest->in, '\n', guest->in_bytes);
	if (!end && guest->in_bytes < GUESTS_LINE_BYTES)
		return;
	/* One request, one line, and nothing behind it. */
	if (!end || end != guest->in + guest->in_bytes - 1 || !guest->awaiting ||
	    !take_line(guest, sample, guest->in, guest->in_bytes - 1, now_ms)) {
		log_limited(&guest->rate, LOG_WARNING, "guest %s: its daemon's answer makes no sense", guest->name);
		hang_up(guest);
		return;
	}
	guest->in_bytes = 0;
	guest->awaiting = false;
	guest->answered_ms = now_ms;
	sample->late = !guest->has_status || guest->left_ms;
}

/* --- the caller's interface --- */

void guests_open(struct guests *guests, const struct config *config, struct modes *modes, size_t most,
		 const char *order_path)
{
	*guests = (struct guests) {
		.config = config,
		.modes = modes,
		.most = most,
		.inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC),
		.lock_fd = -1,
		.lockless = true,
		.late_ms = (uint64_t)config->interval_ms * LATE_INTERVALS,
		.policy = { .conf = config->policy },
	};
	if (guests->late_ms < MIN_LATE_MS)
		guests->late_ms = MIN_LATE_MS;
	if (guests->inotify_fd < 0)
		log_warning("can't watch %s: %s: guests are looked for in every %d. interval instead",
			    config->guests_dir, strerror(errno), SCAN_TICKS);
	if (!order_path)
		return;
	snprintf(guests->order_path, sizeof(guests->order_path), "%s", order_path);
	load_order(guests, clock_now_ms());
}

bool guests_lock(struct guests *guests)
{
	int error = lock(guests);

	guests->lockless = false;
	if (error)
		log_err("%s: %s", guests->config->guests_dir, lock_error(error));
	return !error;
}

void guests_close(struct guests *guests)
{
	size_t i;

	for (i = 0; i < guests->policy.count; i++)
		hang_up(&guests->guest[i]);
	if (guests->inotify_fd >= 0)
		close(guests->inotify_fd);
	if (guests->lock_fd >= 0)
		close(guests->lock_fd);
	free(guests->guest);
	free(guests->sample);
	free(guests->policy.guest);
	free(guests->policy.bid);
}

void guests_tick(struct guests *guests, uint64_t now_ms)
{
	size_t i;

	if (take_events(guests) || !(guests->ticks++ % SCAN_TICKS) || is_look_due(guests, now_ms))
		scan(guests, now_ms);
	for (i = 0; i < guests->policy.count; i++) {
		struct guest *guest = &guests->guest[i];

		if (guest->fd >= 0 && guest->awaiting && now_ms - guest->sent_ms > guests->late_ms) {
			log_warning("guest %s: its daemon doesn't answer", guest->name);
			hang_up(guest);
		}
		if (guest->fd < 0 && !guest->gone_ms)
			open_connection(guests, guest, now_ms);
		if (guest->fd >= 0 && !guest->awaiting)
			request(guest, "{\"request\":\"status\"}\n", now_ms);
		if (now_ms - guest->answered_ms > guests->late_ms)
			guests->sample[i].late = true;
	}
}

void guests_set_mode(struct guests *guests, size_t i, enum policy_mode mode)
{
	const struct guest *guest = &guests->guest[i];

	guests->sample[i].mode = mode;
	/* A fresh start, from the target as it is. */
	policy_forget(&guests->policy.guest[i]);
	modes_set(guests->modes, guest->name, mode, first_mode(guest));
}

size_t guests_max_polls(const struct guests *guests)
{
	return guests->policy.count + 1;
}

size_t guests_prepare_poll(const struct guests *guests, struct pollfd *fds)
{
	size_t i;

	for (i = 0; i < guests->policy.count; i++)
		fds[i] = (struct pollfd) { .fd = guests->guest[i].fd, .events = POLLIN };
	return i;
}

void guests_run(struct guests *guests, const struct pollfd *fds, size_t polls, uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < polls && i < guests->policy.count; i++)
		if (fds[i].revents && guests->guest[i].fd == fds[i].fd)
			receive(&guests->guest[i], &guests->sample[i], now_ms);
}

bool guests_are_heard(const struct guests *guests)
{
	size_t i;

	for (i = 0; i < guests->policy.count; i++)
		if (guests->guest[i].awaiting)
			return false;
	return true;
}

/* What is only said stays to be done, and would be said with every decision. */
static bool is_said(const struct guest *guest, uint64_t from, const struct policy_guest *verdict)
{
	const struct guest_change *last = &guest->history[(guest->changes - 1) % GUESTS_HISTORY];

	return guest->changes && last->from == from && last->to == verdict->target;
}

static void note_change(struct guest *guest, uint64_t from, const struct policy_guest *verdict,
			uint64_t now_ms)
{
	guest->history[guest->changes++ % GUESTS_HISTORY] = (struct guest_change) {
		.ms = now_ms, .from = from, .to = verdict->target, .reason = verdict->reason,
	};
}

/* Once, whether it's answered or not. */
static void report_stuck(struct guest *guest, const struct policy_guest *verdict)
{
	if (guest->stuck == verdict->stuck)
		return;
	guest->stuck = verdict->stuck;
	log_warning("guest %s: %s", guest->name,
		    guest->stuck ? "makes no progress" : "makes progress again");
}

void guests_tell(struct guests *guests, uint64_t now_ms, bool dry_run)
{
	char text[64];
	size_t i;

	for (i = 0; i < guests->policy.count; i++) {
		const struct policy_guest *verdict = &guests->policy.guest[i];
		struct policy_guest_sample *sample = &guests->sample[i];
		struct guest *guest = &guests->guest[i];

		report_stuck(guest, verdict);
		if (!sample->ready || sample->late || sample->mode == POLICY_MODE_PAUSED ||
		    verdict->target == sample->asked || (guest->awaiting && !dry_run) ||
		    (dry_run && is_said(guest, sample->asked, verdict)))
			continue;
		log_info("guest %s: target %ju -> %ju MiB (%s)%s", guest->name,
			 (uintmax_t)sample->asked >> 20, (uintmax_t)verdict->target >> 20,
			 policy_reason_names[verdict->reason], dry_run ? ", if this were earnest" : "");
		note_change(guest, sample->asked, verdict, now_ms);
		if (dry_run || guest->fd < 0)
			continue;
		snprintf(text, sizeof(text), "{\"request\":\"target\",\"bytes\":%ju}\n",
			 (uintmax_t)verdict->target);
		request(guest, text, now_ms);
	}
}
