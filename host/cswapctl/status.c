// SPDX-License-Identifier: GPL-2.0-only
/*
 * status.c - a daemon's status, taken from its JSON, and for the eye.
 *
 * A target is what the guest shall give up, not what it shall keep. Other programs use
 * the second meaning, so all that is printed names both.
 *
 * A daemon may be its guest's by now. Its words are taken from lists, and what else it says is
 * printed without control characters.
 */
#include <stdio.h>
#include <string.h>

#include "common/plain.h"
#include "status.h"

/* The guest works in blocks of this size: nearer it may not come. */
#define GUEST_BLOCK_BYTES (2 * 1024 * 1024)
/* A disk with less to spare has none: file systems give it away in larger pieces. */
#define FULL_BYTES (4 * 1024 * 1024)
/* A request that is at the store for so long isn't slow: the store doesn't answer. */
#define HANGS_MS 5000
/* Of fewer reads no time can be told, and of less in a store it needn't be: its signature is a block, too. */
#define ENOUGH_READS 256
#define ENOUGH_BYTES (1024 * 1024)

static const char *const balloon_words[] = {
	"ready", "absent", "unsupported", "declined", "off", NULL,
};
static const char *const release_words[] = { "convert", "punch", "off", NULL };
static const char *const stopped_words[] = {
	"none", "working", "floor", "memory", "pressure", "oom", "device", "owner", NULL,
};

/* --- from JSON --- */

static struct json_object *member(struct json_object *from, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(from, name, &value);
	return value;
}

static uint64_t number(struct json_object *from, const char *name)
{
	struct json_object *value = member(from, name);

	return json_object_is_type(value, json_type_int) ?
		       json_object_get_uint64(value) : STATUS_UNKNOWN;
}

static const char *string(struct json_object *from, const char *name)
{
	struct json_object *value = member(from, name);

	return json_object_is_type(value, json_type_string) ?
		       json_object_get_string(value) : NULL;
}

/* One of @words, which end with NULL; any other is "unknown". */
static const char *word(struct json_object *from, const char *name, const char *const *words)
{
	const char *said = string(from, name);

	for (; said && *words; words++)
		if (!strcmp(*words, said))
			return *words;
	return "unknown";
}

static void read_report(struct json_object *report, struct status *status)
{
	status->reported = report;
	status->report_number = report ? number(report, "number") : 0;
	status->report_age_ms = number(report, "age_ms");
	status->report_size = number(report, "size_bytes");
	status->report_target = number(report, "target_bytes");
	status->report_available = number(report, "available_bytes");
	status->report_lost = number(report, "lost_bytes");
	status->report_tampered = number(report, "tampered_pages");
	status->report_swap_in = number(report, "swap_in_pages");
	status->report_swap_in_ns = number(report, "swap_in_ns");
	status->stopped = word(report, "stopped", stopped_words);
}

/* What the guest is asked for now; for a while it may be more than its target (shrink.c). */
static uint64_t wanted(struct json_object *answer)
{
	uint64_t target = number(answer, "target_bytes"), shrink = number(answer, "shrink_bytes");

	return shrink != STATUS_UNKNOWN && target != STATUS_UNKNOWN && shrink > target ? shrink : target;
}

void status_read(struct json_object *answer, struct status *status)
{
	struct json_object *measured = member(answer, "measured");
	struct json_object *store = member(answer, "store");

	memset(status, 0, sizeof(*status));
	status->balloon = word(answer, "balloon", balloon_words);
	status->release = word(answer, "release", release_words);
	status->memory = number(answer, "memory_bytes");
	status->target = wanted(answer);
	status->told = number(answer, "told_bytes");
	status->released = number(member(answer, "claimed"), "released_bytes");
	status->files = number(measured, "memory_file_bytes");
	status->cgroup = number(measured, "cgroup_bytes");
	status->cgroup_path = string(measured, "cgroup");
	status->kept = number(measured, "kept_bytes");
	status->stored_pages = number(store, "stored_pages");
	status->loaded_pages = number(store, "loaded_pages");
	status->tags_memory = number(store, "tags_memory_bytes");
	status->owed = number(store, "owed_bytes");
	status->store_file = string(store, "file");
	status->store_state = string(store, "state");
	status->occupied = number(store, "occupied_bytes");
	status->disk_free = number(store, "disk_free_bytes");
	status->errors_writeback = number(store, "errors_writeback");
	status->file_system_away_ms = number(store, "file_system_away_ms");
	status->server_away_ms = number(store, "server_away_ms");
	status->server_losses = number(store, "server_losses");
	status->waits_ms = number(store, "waits_ms");
	status->errors_io = number(store, "errors_io");
	status->errors_nospc = number(store, "errors_nospc");
	read_report(member(answer, "report"), status);
}

/* --- what it means --- */

/* By the daemon's own account, whatever was reported. All of it back is all of it. */
static bool is_reached(const struct status *status)
{
	uint64_t gap = status->released > status->target ?
			       status->released - status->target :
			       status->target - status->released;

	return status->released != STATUS_UNKNOWN &&
	       status->told == status->target &&
	       (status->target ? gap < GUEST_BLOCK_BYTES : !gap);
}

enum status_progress status_progress(const struct status *status,
				     uint64_t number)
{
	if (is_reached(status))
		return STATUS_REACHED;
	if (!strcmp(status->balloon, "declined") || !strcmp(status->balloon, "off"))
		return STATUS_STOPPED;
	/* An older one is about another target, though it be the same number. */
	if (!status->reported || status->report_number <= number ||
	    status->report_target != status->target ||
	    !strcmp(status->stopped, "working") ||
	    !strcmp(status->stopped, "unknown"))
		return STATUS_WORKING;
	return strcmp(status->stopped, "none") ? STATUS_STOPPED : STATUS_REACHED;
}

const char *status_reason(const struct status *status)
{
	static const struct {
		const char *word, *reason;
	} reasons[] = {
		{ "none", "the target is reached" },
		{ "working", "it is at work" },
		{ "floor", "it has reached its floor" },
		{ "memory", "no more memory could be made free, for now" },
		{ "pressure", "it needs what it has" },
		{ "oom", "it was out of memory, and took some back" },
		{ "device", "the device failed, or did not answer" },
		{ "owner", "its owner has switched the balloon off" },
	};
	const char *obstacle = status_obstacle(status);
	unsigned int i;

	if (obstacle)
		return obstacle;
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (!strcmp(status->stopped, reasons[i].word))
			return reasons[i].reason;
	return "it doesn't say why";
}

const char *status_obstacle(const struct status *status)
{
	if (!strcmp(status->balloon, "ready"))
		return NULL;
	if (!strcmp(status->balloon, "absent"))
		return "no VMM is connected";
	if (!strcmp(status->balloon, "off"))
		return "the daemon was started with --release off";
	if (strcmp(status->balloon, "declined"))
		return "the guest's driver isn't there yet";
	if (!strcmp(status->release, "convert"))
		return "the guest declined the balloon: a plain guest converts nothing, start its daemon with --release punch";
	return "the guest declined the balloon: its kernel's log says why";
}

/* --- for the eye --- */

/* One of a few buffers, so that a line may have several. */
static const char *size_text(uint64_t bytes)
{
	static char text[8][32];
	static unsigned int next;
	char *to = text[next++ % 8];
	const double mib = (double)bytes / (1 << 20);

	if (bytes == STATUS_UNKNOWN)
		return "unknown";
	if (mib < 10240)
		snprintf(to, sizeof(text[0]), "%.*f MiB", mib == (double)(uint64_t)mib ? 0 : 1, mib);
	else
		snprintf(to, sizeof(text[0]), "%.1f GiB", mib / 1024);
	return to;
}

static const char *duration_text(double seconds)
{
	static char text[32];

	if (seconds < 100)
		snprintf(text, sizeof(text), "%.0f s", seconds < 1 ? 1 : seconds);
	else
		snprintf(text, sizeof(text), "%.0f min", seconds / 60);
	return text;
}

/* What the store's file occupies and the guest hasn't freed; of other stores this isn't known. */
static uint64_t stored_bytes(const struct status *status)
{
	uint64_t owed = status->owed == STATUS_UNKNOWN ? 0 : status->owed;

	if (status->occupied == STATUS_UNKNOWN)
		return STATUS_UNKNOWN;
	return status->occupied > owed ? status->occupied - owed : 0;
}

/* So much more than it has would the guest need; what it has released it gets back. */
static uint64_t missing_bytes(const struct status *status, uint64_t stored)
{
	if (status->report_available == STATUS_UNKNOWN || status->released == STATUS_UNKNOWN ||
	    status->report_available + status->released >= stored)
		return 0;
	return stored - status->report_available - status->released;
}

const char *status_way_back(const struct status *status)
{
	const uint64_t stored = stored_bytes(status), missing = missing_bytes(status, stored);
	static char text[256];
	double page_us;
	int n;

	if (stored == STATUS_UNKNOWN || stored < ENOUGH_BYTES)
		return NULL;
	if (!status->reported || status->report_swap_in == STATUS_UNKNOWN ||
	    status->report_swap_in < ENOUGH_READS || status->report_swap_in_ns == STATUS_UNKNOWN) {
		n = snprintf(text, sizeof(text), "up to %s; the guest has read too little to tell how long that takes",
			     size_text(stored));
	} else {
		page_us = (double)status->report_swap_in_ns / 1000 / (double)status->report_swap_in;
		n = snprintf(text, sizeof(text), "up to %s, in up to %s: the guest has waited %.0f us for a page so far",
			     size_text(stored), duration_text((double)stored / 4096 * page_us / 1e6),
			     page_us);
	}
	if (missing)
		snprintf(text + n, sizeof(text) - (size_t)n, "; %s more memory than it has",
			 size_text(missing));
	return text;
}

static const char *remaining_text(const struct status *status)
{
	if (status->memory == STATUS_UNKNOWN || status->released > status->memory)
		return "unknown";
	return size_text(status->memory - status->released);
}

/* So much that it's no rounding of the kernel's: its counts differ by up to 256 KiB for each CPU. */
static bool is_kept(const struct status *status)
{
	return status->kept != STATUS_UNKNOWN && status->released != STATUS_UNKNOWN &&
	       status->kept >= 64 << 20 && status->kept > status->released / 8;
}

void status_print_line(const struct status *status)
{
	printf("released %s of %s, the guest keeps %s",
	       size_text(status->released), size_text(status->target),
	       remaining_text(status));
	/* A report about another target says nothing of this one. */
	if (is_reached(status))
		printf("; the target is reached");
	else if (status_obstacle(status))
		printf("; %s", status_obstacle(status));
	else if (status->reported && status->report_target == status->target)
		printf("; %s", status_reason(status));
	if (status->cgroup != STATUS_UNKNOWN)
		printf("; the VMM's cgroup uses %s", size_text(status->cgroup));
	else if (status->files != STATUS_UNKNOWN)
		printf("; its memory's files occupy %s", size_text(status->files));
	if (is_kept(status))
		printf("; %s of what was discarded ISN'T FREE", size_text(status->kept));
	putchar('\n');
	fflush(stdout);
}

static void print_report(const struct status *status)
{
	if (!status->reported) {
		puts("  reports            none");
		return;
	}
	printf("  last report        %.1f s ago: %s\n",
	       (double)status->report_age_ms / 1000, status_reason(status));
	printf("  size               %s, of which %s are available without swapping\n",
	       size_text(status->report_size), size_text(status->report_available));
	if (status->report_lost)
		printf("  lost               %s (failed conversions)\n",
		       size_text(status->report_lost));
	if (status->report_tampered)
		printf("  tampered pages     %ju\n",
		       (uintmax_t)status->report_tampered);
}

static const char *store_text(const char *state)
{
	static const struct {
		const char *word, *text;
	} texts[] = {
		{ "whole", "" },
		{ "moved", ": no longer under its name; put it back before a restart" },
		{ "deleted", ": REMOVED, in use as long as the daemon lives; shut the guest down when you can" },
		{ "cut", ": CUT SHORT or overwritten; pages are lost, restart the guest" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!strcmp(state, texts[i].word))
			return texts[i].text;
	return ": in a state that is unknown here";
}

static bool is_some(uint64_t number)
{
	return number && number != STATUS_UNKNOWN;
}

static bool is_full(const struct status *status)
{
	return status->disk_free < FULL_BYTES;
}

/* A server that is gone is told as that. */
static bool hangs(const struct status *status)
{
	return is_some(status->waits_ms) && status->waits_ms >= HANGS_MS &&
	       !is_some(status->server_away_ms);
}

/* Of NFS: it doesn't even say what becomes of the files. */
static bool is_away(const struct status *status)
{
	return is_some(status->file_system_away_ms) && status->file_system_away_ms >= HANGS_MS;
}

/* The worst first: what was lost, what stands still, what may be mended. */
const char *status_trouble(const struct status *status)
{
	if (status->store_state && !strcmp(status->store_state, "cut"))
		return "store cut";
	if (is_some(status->server_away_ms))
		return "server gone";
	if (hangs(status) || is_away(status))
		return "store hangs";
	if (is_full(status))
		return "disk full";
	if (is_some(status->errors_io) || is_some(status->errors_writeback))
		return "disk errors";
	if (status->store_state && strcmp(status->store_state, "whole"))
		return "store moved";
	return NULL;
}

static void print_space(const struct status *status)
{
	if (status->occupied == STATUS_UNKNOWN)
		return;
	printf("  occupied           %s of the disk, which has %s left%s\n",
	       size_text(status->occupied), size_text(status->disk_free),
	       is_full(status) ? ": FULL; the guest's stores fail, and its pages stay in memory" : "");
}

static void print_errors(const struct status *status)
{
	if (is_some(status->errors_nospc))
		printf("  no space           %ju requests since the daemon's first start\n",
		       (uintmax_t)status->errors_nospc);
	if (is_some(status->errors_io))
		printf("  FAILED             %ju requests since the daemon's first start; look at the disk\n",
		       (uintmax_t)status->errors_io);
	if (is_some(status->errors_writeback))
		printf("  write-back         FAILED %ju times; look at the disk\n",
		       (uintmax_t)status->errors_writeback);
}

static void print_store(const struct status *status)
{
	const char *way_back = status_way_back(status);

	printf("sealed store         %ju pages stored, %ju loaded\n",
	       (uintmax_t)status->stored_pages, (uintmax_t)status->loaded_pages);
	if (status->store_file && status->store_state) {
		fputs("  in                 ", stdout);
		plain_put(stdout, status->store_file);
		puts(store_text(status->store_state));
	}
	print_space(status);
	if (is_away(status))
		printf("  file system        HANGS for %.0f s: it doesn't answer: what stands above of the store is as old; see dmesg, or the server's log\n",
		       (double)status->file_system_away_ms / 1000);
	if (status->tags_memory != STATUS_UNKNOWN && status->tags_memory)
		printf("  tags               %s of the host's memory\n",
		       size_text(status->tags_memory));
	if (status->owed != STATUS_UNKNOWN && status->owed)
		printf("  owed               %s that the guest has freed, and the disk gets back later\n",
		       size_text(status->owed));
	if (way_back)
		printf("  to be swapped in   %s\n", way_back);
	if (status->server_away_ms != STATUS_UNKNOWN && status->server_away_ms)
		printf("  server             AWAY for %.0f s: loads wait, stores wait or are refused; nothing is lost; see the daemon's log\n",
		       (double)status->server_away_ms / 1000);
	else if (status->server_away_ms != STATUS_UNKNOWN)
		printf("  server             there; lost %ju times\n",
		       (uintmax_t)status->server_losses);
	if (hangs(status))
		printf("  HANGS              for %.0f s: the disk, or what the server stands on, doesn't answer; loads wait, nothing is lost; see dmesg, or the server's log\n",
		       (double)status->waits_ms / 1000);
	print_errors(status);
}

void status_print(const struct status *status)
{
	printf("guest's memory       %s\n", size_text(status->memory));
	printf("asked to release     %s%s\n", size_text(status->target),
	       status->told == status->target ? "" : " (the guest wasn't told yet)");
	printf("balloon              %s, by %s\n", status->balloon, status->release);
	if (status_obstacle(status))
		printf("                     (%s)\n", status_obstacle(status));
	puts("the guest claims:");
	printf("  released           %s of %s", size_text(status->released),
	       size_text(status->target));
	if (status->memory != STATUS_UNKNOWN)
		printf(" (it keeps %s)", remaining_text(status));
	puts("");
	print_report(status);
	puts("the host measures:");
	if (status->files != STATUS_UNKNOWN)
		printf("  memory's files     %s occupied\n", size_text(status->files));
	else
		puts("  memory's files     unknown (no VMM shares memory)");
	if (status->cgroup != STATUS_UNKNOWN) {
		printf("  VMM's cgroup       %s%s", size_text(status->cgroup),
		       status->cgroup_path ? ", " : "");
		plain_put(stdout, status->cgroup_path ? status->cgroup_path : "");
		puts("");
	} else {
		puts("  VMM's cgroup       unknown (name it to cswapd: --cgroup)");
	}
	if (is_kept(status))
		printf("  NOT FREE           %s were discarded, and something has them pinned: an assigned device? Then the host gains nothing, and with --release punch the device's DMA goes astray; stop the balloon (cswapctl target 0)\n",
		       size_text(status->kept));
	print_store(status);
}
