// SPDX-License-Identifier: GPL-2.0-only
/*
 * command.c - what an operator's requests mean: JSON in, JSON out.
 *
 * The protocol is described in docs/control.md. A field that is added to an answer is
 * added there, too, and no field is ever renamed. What the guest says of itself stands
 * apart ("claimed", "report") from what the host has measured ("measured").
 */
#include <linux/virtio_config.h>
#include <json-c/json.h>
#include <string.h>

#include "command.h"
#include "common/clock.h"
#include "life/keep.h"

#define MAX_DEPTH 4
#define DEFAULT_WATCH_MS 1000
#define SHRINK_WATCH_MS 200
#define MIN_WATCH_MS 50
#define MAX_WATCH_MS 3600000

/* --- answers --- */

static char *print(struct json_object *answer)
{
	char *text = strdup(json_object_to_json_string_ext(answer,
		JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));

	json_object_put(answer);
	return text;
}

static char *refuse(const char *why)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "ok", json_object_new_boolean(false));
	json_object_object_add(answer, "error", json_object_new_string(why));
	return print(answer);
}

static void add_number(struct json_object *to, const char *name, uint64_t value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

/* A number, or null if it isn't known. */
static void add_known(struct json_object *to, const char *name, bool known,
		      uint64_t value)
{
	json_object_object_add(to, name, known ? json_object_new_uint64(value) :
						 NULL);
}

static void add_string(struct json_object *to, const char *name,
		       const char *value)
{
	json_object_object_add(to, name, value ? json_object_new_string(value) :
						 NULL);
}

static const char *stop_name(uint32_t stopped)
{
	static const char *const names[] = {
		[VIRTIO_CSWAP_STOP_NONE] = "none",
		[VIRTIO_CSWAP_STOP_WORKING] = "working",
		[VIRTIO_CSWAP_STOP_FLOOR] = "floor",
		[VIRTIO_CSWAP_STOP_MEMORY] = "memory",
		[VIRTIO_CSWAP_STOP_PRESSURE] = "pressure",
		[VIRTIO_CSWAP_STOP_OOM] = "oom",
		[VIRTIO_CSWAP_STOP_DEVICE] = "device",
		[VIRTIO_CSWAP_STOP_OWNER] = "owner",
	};

	return stopped < sizeof(names) / sizeof(names[0]) ? names[stopped] :
							    "unknown";
}

static struct json_object *report_object(const struct balloon_state *state)
{
	const struct device_report *report = &state->report;
	struct json_object *to;

	if (!state->has_report)
		return NULL;
	to = json_object_new_object();
	add_number(to, "number", state->reports);
	add_number(to, "age_ms", clock_now_ms() - state->report_ms);
#define ADD(field, json_name)	add_number(to, json_name, report->field);
	DEVICE_REPORT_WORDS(ADD)
#undef ADD
	add_string(to, "stopped", stop_name(report->stopped));
	add_number(to, "epoch", report->epoch);
	return to;
}

static struct json_object *measured_object(const struct command_context *context)
{
	struct json_object *to = json_object_new_object();
	const struct measure *measure = context->measure;
	uint64_t bytes = 0;
	bool known;

	known = measure_files(context->memory, &bytes);
	add_known(to, "memory_file_bytes", known, bytes);
	known = measure_cgroup(measure, &bytes);
	add_known(to, "cgroup_bytes", known, bytes);
	add_string(to, "cgroup", known ? measure->cgroup : NULL);
	known = measure_kept(measure, &bytes);
	add_known(to, "kept_bytes", known, bytes);
	known = measure_cache(measure, &bytes);
	add_known(to, "cgroup_cache_bytes", known, bytes);
	return to;
}

/* As of now, if the file system answers; null for memory. */
static void add_files(struct json_object *to, struct health *health)
{
	const struct store_files *files = health->files;
	const struct health_view view = health_get(health);

	add_string(to, "file", files ? files->names.name[STORE_DATA_FILE] : NULL);
	add_string(to, "tags_file", files && !files->tags_in_memory ?
				    files->names.name[STORE_TAGS_FILE] : NULL);
	add_string(to, "state", files ? store_state_name(health_state(&view)) : NULL);
	add_known(to, "file_system_away_ms", files, view.waits_ms);
	add_known(to, "server_away_ms", files && files->server, health_server_away_ms(health));
	add_known(to, "server_losses", files && files->server,
		  files && files->server ? files->server->log->losses : 0);
	add_known(to, "occupied_bytes", view.measured, view.occupied_bytes);
	add_known(to, "disk_free_bytes", view.measured, view.free_bytes);
	add_known(to, "errors_writeback", files, view.errors_writeback);
}

static void add_counters(struct json_object *to,
			 const struct command_context *context)
{
	struct json_object *store = json_object_new_object();
	struct json_object *served = json_object_new_object();
	const struct store_use use = store_get_use(context->store);
	struct worker_counters sum;

	worker_count(context->workers, &sum);
	add_files(store, context->health);
	add_number(store, "waits_ms", worker_waits_ns(context->workers) / 1000000);
	add_number(store, "tags_memory_bytes", use.tags_bytes);
	add_number(store, "owed_bytes", use.owed_slots * VIRTIO_CSWAP_SLOT_SIZE);
	add_number(store, "size_bytes",
		   context->conf->slots * VIRTIO_CSWAP_SLOT_SIZE);
	add_number(store, "stored_pages", sum.stores);
	add_number(store, "loaded_pages", sum.loads);
	add_number(store, "discarded_pages", sum.discards);
	add_number(store, "given_back_pages", sum.given_back);
	add_number(store, "errors_io", sum.errors_io);
	add_number(store, "errors_nospc", sum.errors_nospc);
	add_number(store, "errors_invalid", sum.errors_invalid);
	json_object_object_add(to, "store", store);
	add_number(served, "released_bytes", sum.released);
	add_number(served, "reclaimed_bytes", sum.reclaimed);
	add_number(served, "punches", sum.punches);
	add_number(served, "events", sum.events);
	add_number(served, "reports", sum.reports);
	json_object_object_add(to, "served", served);
}

/* Whether the guest can be asked for memory. */
static const char *balloon_word(const struct command_context *context)
{
	if (context->conf->release == CONF_RELEASE_OFF)
		return "off";
	if (vhost_user_fd(context->vu) < 0)
		return "absent";
	if (vhost_user_has(context->vu, VIRTIO_CSWAP_F_BALLOON))
		return "ready";
	/* A driver agrees on something. */
	return vhost_user_has(context->vu, VIRTIO_F_VERSION_1) ? "declined" : "unsupported";
}

static struct json_object *status_object(const struct command_context *context)
{
	static const char *const methods[] = {
		[CONF_RELEASE_CONVERT] = "convert",
		[CONF_RELEASE_PUNCH] = "punch",
		[CONF_RELEASE_OFF] = "off",
	};
	struct json_object *to = json_object_new_object();
	struct json_object *claimed = json_object_new_object();
	struct balloon_state state;
	uint64_t size = memory_size(context->memory);

	balloon_get(context->balloon, &state);
	json_object_object_add(to, "ok", json_object_new_boolean(true));
	json_object_object_add(to, "attached", json_object_new_boolean(vhost_user_fd(context->vu) >= 0));
	add_string(to, "balloon", balloon_word(context));
	add_string(to, "release", methods[context->conf->release]);
	add_number(to, "block_bytes", context->conf->block_bytes);
	add_known(to, "memory_bytes", size, size);
	add_number(to, "target_bytes", balloon_get_target(context->balloon));
	add_number(to, "shrink_bytes", balloon_get_shrink(context->balloon));
	add_number(to, "told_bytes", state.told_bytes);
	add_number(claimed, "released_bytes", state.released_bytes);
	json_object_object_add(to, "claimed", claimed);
	json_object_object_add(to, "report", report_object(&state));
	json_object_object_add(to, "measured", measured_object(context));
	add_counters(to, context);
	add_string(to, "keep_layout", keep_layout());
	return to;
}

/* --- requests --- */

/* Nothing but these members; up to NULL. */
static bool has_only(struct json_object *request, const char *const *names)
{
	json_object_object_foreach(request, key, value) {
		unsigned int i = 0;

		(void)value;
		while (names[i] && strcmp(names[i], key))
			i++;
		if (!names[i])
			return false;
	}
	return true;
}

static bool get_whole(struct json_object *value, uint64_t max, uint64_t *to)
{
	if (!json_object_is_type(value, json_type_int) ||
	    json_object_get_int64(value) < 0)
		return false;
	*to = json_object_get_uint64(value);
	return *to <= max;
}

/* Percents are of the memory that is shared, and make whole blocks. */
static const char *find_target(const struct command_context *context,
			       struct json_object *request, uint64_t *target)
{
	uint64_t size = memory_size(context->memory);
	struct json_object *bytes = NULL, *percent = NULL;
	double share;

	json_object_object_get_ex(request, "bytes", &bytes);
	json_object_object_get_ex(request, "percent", &percent);
	if (!bytes == !percent)
		return "a target is either \"bytes\" or \"percent\"";
	if (bytes) {
		if (!get_whole(bytes, INT64_MAX, target))
			return "\"bytes\" is not a number of bytes";
		return size && *target > size ?
			       "the guest doesn't have so much memory" : NULL;
	}
	if (!json_object_is_type(percent, json_type_int) &&
	    !json_object_is_type(percent, json_type_double))
		return "\"percent\" is not a number";
	share = json_object_get_double(percent);
	if (!(share >= 0 && share <= 100))
		return "\"percent\" is not between 0 and 100";
	if (!size)
		return "no front end is connected, so the guest's size is unknown";
	*target = (uint64_t)((double)size * share / 100);
	*target -= *target % context->conf->block_bytes;
	return NULL;
}

/* NULL: *@target is what is asked for. */
static const char *read_target(const struct command_context *context,
			       struct json_object *request, uint64_t *target)
{
	static const char *const names[] = { "request", "bytes", "percent", NULL };

	if (!has_only(request, names))
		return "unknown member in the request";
	if (context->conf->release == CONF_RELEASE_OFF)
		return "the balloon is off (--release off)";
	return find_target(context, request, target);
}

/* As long as the operator stays connected, and asks for nothing else. */
static char *begin_shrink(const struct command_context *context, struct json_object *request,
			  unsigned int *watch_ms)
{
	const char *wrong;
	uint64_t bytes;

	wrong = read_target(context, request, &bytes);
	if (!wrong && balloon_get_shrink(context->balloon))
		wrong = "another operator has the guest shrink";
	if (!wrong && !bytes)
		wrong = "nothing is no amount to shrink by";
	if (wrong)
		return refuse(wrong);
	balloon_shrink(context->balloon, bytes);
	worker_tell_target(context->workers);
	*watch_ms = CTL_HOLDS | SHRINK_WATCH_MS;
	return print(status_object(context));
}

static char *set_target(const struct command_context *context,
			struct json_object *request)
{
	const char *wrong;
	uint64_t target;

	wrong = read_target(context, request, &target);
	if (wrong)
		return refuse(wrong);
	balloon_set_target(context->balloon, target);
	worker_tell_target(context->workers);
	return print(status_object(context));
}

static char *begin_watch(const struct command_context *context,
			 struct json_object *request, unsigned int *watch_ms)
{
	static const char *const names[] = { "request", "interval_ms", NULL };
	struct json_object *interval;
	uint64_t ms = DEFAULT_WATCH_MS;

	if (!has_only(request, names))
		return refuse("unknown member in the request");
	if (json_object_object_get_ex(request, "interval_ms", &interval) &&
	    (!get_whole(interval, MAX_WATCH_MS, &ms) || ms < MIN_WATCH_MS))
		return refuse("\"interval_ms\" is not between 50 and 3600000");
	*watch_ms = (unsigned int)ms;
	return print(status_object(context));
}

static char *get_status(const struct command_context *context,
			struct json_object *request)
{
	static const char *const names[] = { "request", NULL };

	if (!has_only(request, names))
		return refuse("unknown member in the request");
	return print(status_object(context));
}

/* One object and nothing else. NULL if it's not that. */
static struct json_object *parse(const char *text)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *object;

	if (!tokener)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	/* With its end, so that a number at the end is known to be whole. */
	object = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
	json_tokener_free(tokener);
	if (json_object_is_type(object, json_type_object))
		return object;
	json_object_put(object);
	return NULL;
}

static char *answer(void *arg, const char *text, unsigned int *watch_ms)
{
	const struct command_context *context = arg;
	struct json_object *request = parse(text), *name;
	const char *verb = "";
	char *reply;

	if (!request)
		return refuse("a request is a JSON object in one line");
	if (json_object_object_get_ex(request, "request", &name) &&
	    json_object_is_type(name, json_type_string))
		verb = json_object_get_string(name);
	if (!strcmp(verb, "status"))
		reply = get_status(context, request);
	else if (!strcmp(verb, "target"))
		reply = set_target(context, request);
	else if (!strcmp(verb, "watch"))
		reply = begin_watch(context, request, watch_ms);
	else if (!strcmp(verb, "shrink"))
		reply = begin_shrink(context, request, watch_ms);
	else
		reply = refuse("\"request\" is none of status, target, watch, shrink");
	json_object_put(request);
	return reply;
}

static char *watch(void *arg)
{
	return print(status_object(arg));
}

static void let_go(void *arg)
{
	const struct command_context *context = arg;

	balloon_shrink(context->balloon, 0);
	worker_tell_target(context->workers);
}

const struct ctl_ops command_ops = { .answer = answer, .watch = watch, .let_go = let_go };
