// SPDX-License-Identifier: GPL-2.0-only
/*
 * metrics.c - what all guests' daemons and the balancer say, for Prometheus.
 *
 * The text format, for the textfile collector of node_exporter: a listener of our
 * own would be one more thing to secure, and the exporter is on such hosts
 * anyway. The file is replaced as a whole, by a rename. The names of metrics tell apart
 * what the host measures, what the guest claims and what the guest reports of itself.
 * What isn't known is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "balancer.h"
#include "instances.h"
#include "metrics.h"

#define PATIENCE_MS 2000

struct metric {
	const char *name, *type, *help;
	const char *object;		/* of the status, that has the member; NULL: it */
	const char *member;
	const char *label;		/* or NULL */
	double unit;			/* of the member; 0: 1 */
};

#define GAUGE "gauge"
#define COUNTER "counter"

/* Those of one name stand together: the format wants it so. */
static const struct metric metrics[] = {
	{ "cswap_memory_bytes", GAUGE, "Memory that the VMM shares",
	  NULL, "memory_bytes", NULL, 0 },
	{ "cswap_target_bytes", GAUGE, "What the guest is asked to release, in all",
	  NULL, "target_bytes", NULL, 0 },
	{ "cswap_told_bytes", GAUGE, "The last target that the guest took notice of",
	  NULL, "told_bytes", NULL, 0 },
	{ "cswap_claimed_released_bytes", GAUGE, "What the guest claims to have released",
	  "claimed", "released_bytes", NULL, 0 },
	{ "cswap_measured_cgroup_bytes", GAUGE, "What the VMM's cgroup uses",
	  "measured", "cgroup_bytes", NULL, 0 },
	{ "cswap_measured_cgroup_cache_bytes", GAUGE, "What of that is the cache of files, which the host can drop",
	  "measured", "cgroup_cache_bytes", NULL, 0 },
	{ "cswap_measured_kept_bytes", GAUGE, "Discarded memory that something, an assigned device most likely, still holds",
	  "measured", "kept_bytes", NULL, 0 },
	{ "cswap_measured_memory_file_bytes", GAUGE, "What the files of the guest's memory occupy",
	  "measured", "memory_file_bytes", NULL, 0 },
	{ "cswap_store_size_bytes", GAUGE, "Size of the guest's store",
	  "store", "size_bytes", NULL, 0 },
	{ "cswap_store_occupied_bytes", GAUGE, "What the store occupies of its disk",
	  "store", "occupied_bytes", NULL, 0 },
	{ "cswap_store_disk_free_bytes", GAUGE, "What is left on that disk, for all that use it",
	  "store", "disk_free_bytes", NULL, 0 },
	{ "cswap_store_tags_memory_bytes", GAUGE, "Memory of the host that the tags of the stored pages take",
	  "store", "tags_memory_bytes", NULL, 0 },
	{ "cswap_store_owed_bytes", GAUGE, "Freed by the guest, and not given back to the disk yet",
	  "store", "owed_bytes", NULL, 0 },
	{ "cswap_store_stored_pages_total", COUNTER, "Pages stored",
	  "store", "stored_pages", NULL, 0 },
	{ "cswap_store_loaded_pages_total", COUNTER, "Pages loaded",
	  "store", "loaded_pages", NULL, 0 },
	{ "cswap_store_discarded_pages_total", COUNTER, "Pages discarded",
	  "store", "discarded_pages", NULL, 0 },
	{ "cswap_store_given_back_pages_total", COUNTER, "Pages given back to the disk",
	  "store", "given_back_pages", NULL, 0 },
	{ "cswap_store_errors_total", COUNTER, "Requests that failed, by what failed",
	  "store", "errors_io", "kind=\"io\"", 0 },
	{ "cswap_store_errors_total", NULL, NULL,
	  "store", "errors_nospc", "kind=\"nospc\"", 0 },
	{ "cswap_store_errors_total", NULL, NULL,
	  "store", "errors_invalid", "kind=\"invalid\"", 0 },
	{ "cswap_store_errors_total", NULL, NULL,
	  "store", "errors_writeback", "kind=\"writeback\"", 0 },
	{ "cswap_store_server_away_seconds", GAUGE, "For how long the store's server has been away",
	  "store", "server_away_ms", NULL, 1e-3 },
	{ "cswap_store_server_losses_total", COUNTER, "How often the store's server was lost",
	  "store", "server_losses", NULL, 0 },
	{ "cswap_store_waits_seconds", GAUGE, "For how long the oldest request that is at the store has waited",
	  "store", "waits_ms", NULL, 1e-3 },
	{ "cswap_store_file_system_away_seconds", GAUGE, "For how long the store's file system hasn't answered",
	  "store", "file_system_away_ms", NULL, 1e-3 },
	{ "cswap_released_bytes_total", COUNTER, "Memory RELEASEd",
	  "served", "released_bytes", NULL, 0 },
	{ "cswap_reclaimed_bytes_total", COUNTER, "Memory RECLAIMed",
	  "served", "reclaimed_bytes", NULL, 0 },
	{ "cswap_punches_total", COUNTER, "Discards of guest memory",
	  "served", "punches", NULL, 0 },
	{ "cswap_events_total", COUNTER, "Targets told to the guest",
	  "served", "events", NULL, 0 },
	{ "cswap_reports_total", COUNTER, "Reports from the guest",
	  "served", "reports", NULL, 0 },
	{ "cswap_report_age_seconds", GAUGE, "Age of the guest's last report",
	  "report", "age_ms", NULL, 1e-3 },
	{ "cswap_report_size_bytes", GAUGE, "The guest's report: its memory, released or not",
	  "report", "size_bytes", NULL, 0 },
	{ "cswap_report_floor_bytes", GAUGE, "The guest's report: what it keeps at least",
	  "report", "floor_bytes", NULL, 0 },
	{ "cswap_report_lost_bytes", GAUGE, "The guest's report: lost to failed conversions",
	  "report", "lost_bytes", NULL, 0 },
	{ "cswap_report_free_bytes", GAUGE, "The guest's report: free memory",
	  "report", "free_bytes", NULL, 0 },
	{ "cswap_report_available_bytes", GAUGE, "The guest's report: available without swapping",
	  "report", "available_bytes", NULL, 0 },
	{ "cswap_report_file_bytes", GAUGE, "The guest's report: page cache",
	  "report", "file_bytes", NULL, 0 },
	{ "cswap_report_swap_in_pages_total", COUNTER, "The guest's report: pages swapped in",
	  "report", "swap_in_pages", NULL, 0 },
	{ "cswap_report_swap_out_pages_total", COUNTER, "The guest's report: pages swapped out",
	  "report", "swap_out_pages", NULL, 0 },
	{ "cswap_report_refault_pages_total", COUNTER, "The guest's report: pages back soon after they went",
	  "report", "refault_pages", NULL, 0 },
	{ "cswap_report_alloc_stalls_total", COUNTER, "The guest's report: allocations that had to reclaim",
	  "report", "alloc_stalls", NULL, 0 },
	{ "cswap_report_swap_in_seconds_total", COUNTER, "The guest's report: time that its tasks waited for pages",
	  "report", "swap_in_ns", NULL, 1e-9 },
	{ "cswap_report_tampered_pages_total", COUNTER, "The guest's report: pages that didn't open",
	  "report", "tampered_pages", NULL, 0 },
};

static struct json_object *find(struct json_object *status,
				const struct metric *metric)
{
	struct json_object *value = NULL;

	if (metric->object &&
	    !json_object_object_get_ex(status, metric->object, &status))
		return NULL;
	json_object_object_get_ex(status, metric->member, &value);
	return json_object_is_type(value, json_type_int) ? value : NULL;
}

static void print_head(FILE *to, const char *name, const char *type,
		       const char *help)
{
	fprintf(to, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, type);
}

/* A name is a folder's, and a word another program's: they may have what ends a label's value. */
static void print_label(FILE *to, const char *label, const char *value)
{
	fprintf(to, "%s=\"", label);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			putc('\\', to);
		if (*value == '\n')
			fputs("\\n", to);
		else
			putc(*value, to);
	}
	putc('"', to);
}

static void print_guest(FILE *to, const char *name, const char *guest)
{
	fprintf(to, "%s{", name);
	print_label(to, "guest", guest);
}

static void print_value(FILE *to, const struct metric *metric,
			struct json_object *value)
{
	if (metric->label)
		fprintf(to, ",%s", metric->label);
	if (metric->unit != 0)
		fprintf(to, "} %.9g\n",
			(double)json_object_get_uint64(value) * metric->unit);
	else
		fprintf(to, "} %ju\n", (uintmax_t)json_object_get_uint64(value));
}

static void print_metric(FILE *to, const struct metric *metric,
			 const struct instances *instances)
{
	struct json_object *value;
	size_t i;

	if (metric->help)
		print_head(to, metric->name, metric->type, metric->help);
	for (i = 0; i < instances->count; i++) {
		value = find(instances->list[i].answer, metric);
		if (!value)
			continue;
		print_guest(to, metric->name, instances->list[i].name);
		print_value(to, metric, value);
	}
}

static void print_states(FILE *to, const struct instances *instances)
{
	const struct instance *instance;
	size_t i;

	print_head(to, "cswap_up", GAUGE, "Whether the guest's daemon answers");
	for (i = 0; i < instances->count; i++) {
		print_guest(to, "cswap_up", instances->list[i].name);
		fprintf(to, "} %d\n", instances->list[i].answer != NULL);
	}
	print_head(to, "cswap_balloon_ready", GAUGE,
		   "Whether the guest can be asked for memory");
	for (i = 0; i < instances->count; i++) {
		print_guest(to, "cswap_balloon_ready", instances->list[i].name);
		fprintf(to, "} %d\n",
			!strcmp(instances->list[i].status.balloon, "ready"));
	}
	print_head(to, "cswap_store_whole", GAUGE,
		   "Whether the files of the guest's store are where and what they were");
	for (i = 0; i < instances->count; i++) {
		instance = &instances->list[i];
		if (!instance->status.store_state)
			continue;
		print_guest(to, "cswap_store_whole", instance->name);
		fprintf(to, "} %d\n", !strcmp(instance->status.store_state, "whole"));
	}
	print_head(to, "cswap_report_stopped", GAUGE,
		   "The guest's report: why it hasn't released more");
	for (i = 0; i < instances->count; i++) {
		instance = &instances->list[i];
		if (!instance->status.reported)
			continue;
		print_guest(to, "cswap_report_stopped", instance->name);
		print_label(to, ",reason", instance->status.stopped);
		fputs("} 1\n", to);
	}
}

/* Of the host, by the balancer. */
static const struct metric balancer_metrics[] = {
	{ "cswap_balancer_limit_bytes", GAUGE, "What all guests may use together",
	  "host", "limit_bytes", NULL, 0 },
	{ "cswap_balancer_available_bytes", GAUGE, "What of that is available, as the host measures it",
	  "host", "available_bytes", NULL, 0 },
	{ "cswap_balancer_reserve_bytes", GAUGE, "What shall stay available",
	  "host", "reserve_bytes", NULL, 0 },
	{ "cswap_balancer_deficit_bytes", GAUGE, "How much less than the reserve is available",
	  "host", "deficit_bytes", NULL, 0 },
	{ "cswap_balancer_pressure_percent", GAUGE, "Time in which a task of the host waited for memory",
	  "host", "pressure_percent", NULL, 0 },
};

/* Of a guest, by the balancer. */
static const struct metric share_metrics[] = {
	{ "cswap_balancer_allotted_bytes", GAUGE, "What the guest's target leaves to it",
	  NULL, "allotted_bytes", NULL, 0 },
	{ "cswap_balancer_floor_bytes", GAUGE, "What the balancer leaves to the guest at least",
	  NULL, "floor_bytes", NULL, 0 },
	{ "cswap_balancer_idle_percent", GAUGE, "The share of its allotment that is idle, as far as is known",
	  NULL, "idle_percent", NULL, 0 },
};

static struct json_object *guests_of(struct json_object *list)
{
	struct json_object *guests = NULL;

	json_object_object_get_ex(list, "guests", &guests);
	return json_object_is_type(guests, json_type_array) ? guests : NULL;
}

static const char *word(struct json_object *guest, const char *name)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(guest, name, &value);
	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

static bool is_paused(struct json_object *list)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(list, "paused", &value);
	return json_object_get_boolean(value);
}

static void print_shares(FILE *to, struct json_object *guests)
{
	struct json_object *guest, *value;
	size_t i, j, count = guests ? json_object_array_length(guests) : 0;

	for (i = 0; i < sizeof(share_metrics) / sizeof(share_metrics[0]); i++) {
		print_head(to, share_metrics[i].name, share_metrics[i].type, share_metrics[i].help);
		for (j = 0; j < count; j++) {
			guest = json_object_array_get_idx(guests, j);
			value = find(guest, &share_metrics[i]);
			if (!value)
				continue;
			print_guest(to, share_metrics[i].name, word(guest, "name"));
			print_value(to, &share_metrics[i], value);
		}
	}
	print_head(to, "cswap_balancer_state", GAUGE, "What the balancer does with the guest");
	for (j = 0; j < count; j++) {
		guest = json_object_array_get_idx(guests, j);
		print_guest(to, "cswap_balancer_state", word(guest, "name"));
		print_label(to, ",state", word(guest, "state"));
		print_label(to, ",reason", word(guest, "reason"));
		fputs("} 1\n", to);
	}
}

static void print_balancer(FILE *to, struct json_object *list)
{
	struct json_object *value;
	size_t i;

	print_head(to, "cswap_balancer_up", GAUGE, "Whether cswap-balancer answers");
	fprintf(to, "cswap_balancer_up %d\n", list != NULL);
	if (!list)
		return;
	print_head(to, "cswap_balancer_paused", GAUGE, "Whether an operator has paused all of it");
	fprintf(to, "cswap_balancer_paused %d\n", is_paused(list));
	for (i = 0; i < sizeof(balancer_metrics) / sizeof(balancer_metrics[0]); i++) {
		value = find(list, &balancer_metrics[i]);
		if (!value)
			continue;
		print_head(to, balancer_metrics[i].name, balancer_metrics[i].type,
			   balancer_metrics[i].help);
		fprintf(to, "%s %ju\n", balancer_metrics[i].name,
			(uintmax_t)json_object_get_uint64(value));
	}
	print_shares(to, guests_of(list));
}

static void print_all(FILE *to, const struct instances *instances, struct json_object *balancer)
{
	size_t i;

	print_states(to, instances);
	for (i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		print_metric(to, &metrics[i], instances);
	print_balancer(to, balancer);
}

static int complain(const char *about)
{
	fprintf(stderr, "cswapctl: %s: %s\n", about, strerror(errno));
	return EXIT_FAILED;
}

/* The folder may be the exporter's, who could have a link lie there; what is left there is of one that was killed. */
static FILE *open_anew(const char *path)
{
	FILE *file = NULL;
	int fd;

	if (unlink(path) && errno != ENOENT)
		return NULL;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0)
		file = fdopen(fd, "w");
	if (fd >= 0 && !file)
		close(fd);
	return file;
}

static int write_file(const char *path, const struct instances *instances,
		      struct json_object *balancer)
{
	char *partial = NULL;
	bool written;
	FILE *file;
	int status = 0;

	/* The collector reads *.prom. */
	if (asprintf(&partial, "%s.partial", path) < 0)
		return EXIT_FAILED;
	file = open_anew(partial);
	if (!file) {
		status = complain(partial);
		goto out;
	}
	fchmod(fileno(file), 0644);
	print_all(file, instances, balancer);
	written = !ferror(file);
	if (fclose(file) || !written || rename(partial, path)) {
		status = complain(path);
		unlink(partial);
	}
out:
	free(partial);
	return status;
}

int metrics_run(const struct options *options)
{
	struct json_object *balancer;
	struct instances instances;
	int status = 0;

	if (!instances_ask(&instances, options->directory, PATIENCE_MS))
		return EXIT_FAILED;
	balancer = balancer_list(options, PATIENCE_MS);
	if (options->output)
		status = write_file(options->output, &instances, balancer);
	else
		print_all(stdout, &instances, balancer);
	json_object_put(balancer);
	instances_free(&instances);
	return status;
}
