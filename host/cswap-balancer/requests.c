// SPDX-License-Identifier: GPL-2.0-only
/*
 * requests.c - what an operator asks of the balancer: JSON in, JSON out.
 *
 * The protocol is described in docs/balancer-control.md. A field that is added to an answer is
 * added there, too, and no field is ever renamed.
 */
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "requests.h"

#define MAX_DEPTH 4

/* --- pieces of answers --- */

static char *print(struct json_object *answer)
{
	char *text = strdup(json_object_to_json_string_ext(answer,
		JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));

	json_object_put(answer);
	return text;
}

static void add_number(struct json_object *to, const char *name, uint64_t value)
{
	json_object_object_add(to, name, json_object_new_uint64(value));
}

static void add_known(struct json_object *to, const char *name, bool known, uint64_t value)
{
	json_object_object_add(to, name, known ? json_object_new_uint64(value) : NULL);
}

static void add_bool(struct json_object *to, const char *name, bool value)
{
	json_object_object_add(to, name, json_object_new_boolean(value));
}

static void add_string(struct json_object *to, const char *name, const char *value)
{
	json_object_object_add(to, name, json_object_new_string(value));
}

static char *refuse(const char *why)
{
	struct json_object *answer = json_object_new_object();

	add_bool(answer, "ok", false);
	add_string(answer, "error", why);
	return print(answer);
}

__attribute__((format(printf, 2, 3)))
static void add_step(struct json_object *steps, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_object_array_add(steps, json_object_new_string(text));
}

static uintmax_t mib(uint64_t bytes)
{
	return bytes >> 20;
}

/* --- guests --- */

/* All there is of one. */
struct view {
	const struct guest *guest;
	const struct policy_guest_sample *sample;
	const struct policy_guest *verdict;
};

static struct view view_of(const struct balancer *balancer, size_t i)
{
	return (struct view) {
		&balancer->guests.guest[i], &balancer->guests.sample[i],
		&balancer->guests.policy.guest[i],
	};
}

static const char *state_word(const struct balancer *balancer, const struct view *view)
{
	static const char *const answers[] = {
		[CONFIG_REPORT] = "stuck", [CONFIG_SLOW] = "slowed",
		[CONFIG_FREEZE] = "frozen", [CONFIG_HOLD] = "held",
	};

	if (view->guest->answer && view->guest->config->cgroup)
		return answers[balancer->config.answer[view->guest->answer - 1]];
	if (view->sample->late)
		return "late";
	if (!view->sample->ready)
		return "unready";
	if (view->sample->mode != POLICY_AUTO)
		return view->sample->mode == POLICY_MODE_DRAIN ? "draining" : "paused";
	if (balancer->modes.paused)
		return "paused";
	if (view->verdict->begun && !view->verdict->admitted)
		return "refused";
	return view->verdict->stuck ? "stuck" : "managed";
}

static void explain_reason(const struct view *view, char *to, size_t size)
{
	const struct policy_guest *verdict = view->verdict;

	switch (verdict->reason) {
	case POLICY_RESERVE:
		snprintf(to, size, "the host's reserve is short");
		break;
	case POLICY_TAX:
		snprintf(to, size, "others need it more: %u %% of its memory is idle, its share is %ju MiB",
			 verdict->idle_permille / 10, mib(verdict->fair));
		break;
	case POLICY_STALL:
		snprintf(to, size, "its tasks waited for pages %u.%u %% of the time",
			 verdict->stall_permille / 10, verdict->stall_permille % 10);
		break;
	case POLICY_REFAULT:
		snprintf(to, size, "it reads again what it just dropped: %u.%u %% of its memory a minute",
			 verdict->refault_permille / 10, verdict->refault_permille % 10);
		break;
	case POLICY_PROMOTION:
		snprintf(to, size, "%u.%u %% of its memory came back from its store in a minute",
			 verdict->promotion_permille / 10, verdict->promotion_permille % 10);
		break;
	case POLICY_STUCK:
		if (verdict->lies)
			snprintf(to, size, "it says it has released %ju MiB, but the host measures %ju MiB in use",
				 mib(view->sample->released), mib(view->sample->used));
		else
			snprintf(to, size, "asked for %ju MiB, it has released %ju and makes no progress",
				 mib(verdict->target), mib(view->sample->released));
		break;
	case POLICY_LATE:
		snprintf(to, size, "%s", view->guest->left_ms ?
			 "its VMM has left its daemon; its memory is kept for it for a while" : "its daemon doesn't answer");
		break;
	default: {
		static const char *const words[POLICY_REASONS] = {
			[POLICY_NEW] = "nothing was decided about it yet",
			[POLICY_HOLD] = "there is enough for all",
			[POLICY_BAND] = "too little is missing to do anything about",
			[POLICY_GROW] = "there is room",
			[POLICY_BRAKE] = "its own brakes have tripped: it isn't asked for more",
			[POLICY_FLOOR] = "it is at its floor",
			[POLICY_COOLING] = "it hurt a short while ago: nothing is taken for now",
			[POLICY_DRAIN] = "it is being given all of its memory back",
			[POLICY_PAUSED] = "its target stays as it is, by an operator's word",
			[POLICY_UNREADY] = "no guest is there, or its driver has no balloon",
			[POLICY_REFUSED] = "the floors of all guests and the reserve are more than the host has",
		};

		snprintf(to, size, "%s", words[verdict->reason] ? words[verdict->reason] : "");
	}
	}
}

static struct json_object *guest_object(const struct balancer *balancer, const struct view *view)
{
	const struct policy_guest_sample *sample = view->sample;
	const struct policy_guest *verdict = view->verdict;
	const struct guest *guest = view->guest;
	struct json_object *to = json_object_new_object();
	uint64_t now = clock_now_ms();
	char text[192];

	add_string(to, "name", guest->name);
	snprintf(text, sizeof(text), "%s/%s/control", balancer->config.guests_dir, guest->name);
	add_string(to, "socket", text);
	add_string(to, "state", state_word(balancer, view));
	add_string(to, "reason", policy_reason_names[verdict->reason]);
	explain_reason(view, text, sizeof(text));
	add_string(to, "why", text);
	add_known(to, "size_bytes", guest->memory, guest->memory);
	add_number(to, "floor_bytes", sample->floor);
	add_number(to, "shares", guest->config->shares);
	add_number(to, "target_bytes", sample->asked);
	add_known(to, "allotted_bytes", guest->memory,
		  sample->size > sample->asked ? sample->size - sample->asked : 0);
	add_known(to, "released_bytes", guest->has_status, sample->released);
	add_known(to, "used_bytes", sample->has_used, sample->used);
	add_number(to, "idle_percent", verdict->idle_permille / 10);
	add_number(to, "promotion_permille", verdict->promotion_permille);
	add_number(to, "stall_permille", verdict->stall_permille);
	add_known(to, "report_age_ms", sample->has_report, guest->report_age_ms);
	add_known(to, "answer_age_ms", guest->has_status, now - guest->answered_ms);
	return to;
}

/* --- the host --- */

/* What was measured once isn't what there is. */
static struct json_object *host_object(const struct balancer *balancer)
{
	const struct host_sample *host = &balancer->host;
	struct json_object *to = json_object_new_object();
	uint64_t reserve = balancer->guests.policy.conf.reserve_bytes;
	uint64_t available = host->memory.available;
	bool known = !balancer->blind;

	add_known(to, "limit_bytes", known, host->memory.limit);
	add_known(to, "available_bytes", known, available);
	add_number(to, "reserve_bytes", reserve);
	add_known(to, "deficit_bytes", known, available < reserve ? reserve - available : 0);
	add_known(to, "pressure_percent", known && host->pressure_percent >= 0,
		  (uint64_t)host->pressure_percent);
	return to;
}

static struct json_object *guests_object(const struct balancer *balancer)
{
	struct json_object *to = json_object_new_object();
	uint64_t size = 0, floor = 0, allotted = 0;
	unsigned int managed = 0, stuck = 0, refused = 0;
	size_t i;

	for (i = 0; i < balancer->guests.policy.count; i++) {
		struct view view = view_of(balancer, i);
		const char *state = state_word(balancer, &view);

		size += view.sample->size;
		floor += view.sample->floor;
		allotted += view.sample->size > view.sample->asked ?
				    view.sample->size - view.sample->asked : 0;
		managed += !strcmp(state, "managed");
		stuck += view.verdict->stuck;
		refused += !strcmp(state, "refused");
	}
	add_number(to, "known", balancer->guests.policy.count);
	add_number(to, "managed", managed);
	add_number(to, "stuck", stuck);
	add_number(to, "refused", refused);
	add_number(to, "size_bytes", size);
	add_number(to, "floor_bytes", floor);
	add_number(to, "allotted_bytes", allotted);
	return to;
}

static struct json_object *begin_answer(const struct balancer *balancer)
{
	struct json_object *to = json_object_new_object();

	add_bool(to, "ok", true);
	add_bool(to, "paused", balancer->modes.paused);
	add_bool(to, "dry_run", balancer->dry_run);
	return to;
}

static char *status(const struct balancer *balancer)
{
	struct json_object *to = begin_answer(balancer);

	add_number(to, "interval_ms", balancer->config.interval_ms);
	add_number(to, "decisions", balancer->decisions);
	add_known(to, "decided_age_ms", balancer->decisions,
		  clock_now_ms() - balancer->decided_ms);
	json_object_object_add(to, "host", host_object(balancer));
	json_object_object_add(to, "guests", guests_object(balancer));
	return print(to);
}

/* --- the list, by name --- */

static const struct guest *sorted;	/* for the comparison alone */

static int compare_names(const void *a, const void *b)
{
	return strcmp(sorted[*(const uint32_t *)a].name, sorted[*(const uint32_t *)b].name);
}

static char *list(const struct balancer *balancer)
{
	size_t i, count = balancer->guests.policy.count;
	uint32_t *order = calloc(count + 1, sizeof(*order));
	struct json_object *to = begin_answer(balancer), *guests = json_object_new_array();

	json_object_object_add(to, "host", host_object(balancer));
	json_object_object_add(to, "guests", guests);
	for (i = 0; order && i < count; i++)
		order[i] = (uint32_t)i;
	sorted = balancer->guests.guest;
	if (order)
		qsort(order, count, sizeof(*order), compare_names);
	for (i = 0; order && i < count; i++) {
		struct view view = view_of(balancer, order[i]);

		json_object_array_add(guests, guest_object(balancer, &view));
	}
	free(order);
	return print(to);
}

/* --- explanations --- */

static struct json_object *inputs_object(const struct balancer *balancer, const struct view *view)
{
	const struct policy *policy = &balancer->guests.policy;
	struct json_object *to = json_object_new_object();

	add_number(to, "budget_bytes", policy->budget);
	add_number(to, "charged_bytes", policy->charged);
	add_number(to, "pending_bytes", policy->pending);
	add_number(to, "short_bytes", policy->short_bytes);
	add_number(to, "fair_bytes", view->verdict->fair);
	add_number(to, "guest_charged_bytes", view->verdict->charge);
	add_number(to, "guest_extra_bytes", view->verdict->over);
	add_number(to, "idle_permille", view->verdict->idle_permille);
	add_number(to, "promotion_permille", view->verdict->promotion_permille);
	add_number(to, "stall_permille", view->verdict->stall_permille);
	add_number(to, "refault_permille", view->verdict->refault_permille);
	add_bool(to, "hurts", view->verdict->hurt);
	add_bool(to, "quiet", view->verdict->quiet);
	add_bool(to, "stuck", view->verdict->stuck);
	add_bool(to, "admitted", view->verdict->admitted);
	return to;
}

static struct json_object *steps_array(const struct balancer *balancer, const struct view *view)
{
	const struct policy *policy = &balancer->guests.policy;
	const struct policy_guest *verdict = view->verdict;
	struct json_object *to = json_object_new_array();
	char text[192];

	add_step(to, "The host has %ju MiB, of which %ju are available and %ju are its reserve.",
		 mib(balancer->host.memory.limit), mib(balancer->host.memory.available),
		 mib(policy->conf.reserve_bytes));
	add_step(to, "So all guests may have %ju MiB together; they have, or may take at once, %ju.",
		 mib(policy->budget), mib(policy->charged));
	if (policy->short_bytes)
		add_step(to, "The guests must release %ju MiB more; another %ju MiB are asked for already and not yet released.",
			 mib(policy->short_bytes), mib(policy->pending));
	add_step(to, "By its %u shares %ju MiB are the guest's; it is left %ju of its %ju.",
		 (unsigned int)view->guest->config->shares, mib(verdict->fair), mib(verdict->allot),
		 mib(view->sample->size));
	if (view->sample->has_used && verdict->over > POLICY_BLOCK)
		add_step(to, "The host measures %ju MiB more than it is left.", mib(verdict->over));
	add_step(to, "It %s; %u %% of its memory counts as idle.",
		 verdict->hurt ? "hurts" : verdict->quiet ? "is quiet" : "is busy, but doesn't hurt",
		 verdict->idle_permille / 10);
	explain_reason(view, text, sizeof(text));
	add_step(to, "%s: %s; so it is asked to release %ju MiB.",
		 policy_reason_names[verdict->reason], text, mib(verdict->target));
	return to;
}

static struct json_object *history_array(const struct guest *guest)
{
	struct json_object *to = json_object_new_array();
	uint64_t now = clock_now_ms();
	unsigned int i;

	for (i = 0; i < GUESTS_HISTORY && i < guest->changes; i++) {
		const struct guest_change *change =
			&guest->history[(guest->changes - 1 - i) % GUESTS_HISTORY];
		struct json_object *item = json_object_new_object();

		add_number(item, "age_ms", now - change->ms);
		add_number(item, "from_bytes", change->from);
		add_number(item, "to_bytes", change->to);
		add_string(item, "reason", policy_reason_names[change->reason]);
		json_object_array_add(to, item);
	}
	return to;
}

static char *explain(const struct balancer *balancer, size_t i)
{
	struct json_object *to = json_object_new_object();
	struct view view = view_of(balancer, i);

	add_bool(to, "ok", true);
	json_object_object_add(to, "guest", guest_object(balancer, &view));
	json_object_object_add(to, "inputs", inputs_object(balancer, &view));
	json_object_object_add(to, "steps", view.verdict->begun && view.guest->has_status ?
						    steps_array(balancer, &view) : json_object_new_array());
	json_object_object_add(to, "history", history_array(view.guest));
	return print(to);
}

/* --- requests --- */

static char *set_mode(struct balancer *balancer, size_t i, enum policy_mode mode)
{
	struct json_object *to = json_object_new_object();
	struct view view = view_of(balancer, i);

	guests_set_mode(&balancer->guests, i, mode);
	add_bool(to, "ok", true);
	json_object_object_add(to, "guest", guest_object(balancer, &view));
	return print(to);
}

/* Targets may be others by the time that it goes on: it starts afresh with all of them. */
static char *pause_all(struct balancer *balancer, bool paused)
{
	size_t i;

	if (!paused && balancer->modes.paused)
		for (i = 0; i < balancer->guests.policy.count; i++)
			policy_forget(&balancer->guests.policy.guest[i]);
	modes_pause_all(&balancer->modes, paused);
	return status(balancer);
}

static char *do_for_guest(struct balancer *balancer, const char *verb, size_t i)
{
	if (!strcmp(verb, "explain"))
		return explain(balancer, i);
	if (!strcmp(verb, "pause"))
		return set_mode(balancer, i, POLICY_MODE_PAUSED);
	if (!strcmp(verb, "drain"))
		return set_mode(balancer, i, POLICY_MODE_DRAIN);
	if (!strcmp(verb, "resume"))
		return set_mode(balancer, i, POLICY_AUTO);
	return refuse("\"guest\" belongs to explain, pause, resume, drain");
}

static char *do_for_all(struct balancer *balancer, const char *verb)
{
	if (!strcmp(verb, "status"))
		return status(balancer);
	if (!strcmp(verb, "list"))
		return list(balancer);
	if (!strcmp(verb, "pause") || !strcmp(verb, "resume"))
		return pause_all(balancer, !strcmp(verb, "pause"));
	if (!strcmp(verb, "explain") || !strcmp(verb, "drain"))
		return refuse("which guest? \"guest\" is missing");
	return refuse("\"request\" is none of status, list, explain, pause, resume, drain");
}

/* One object, of these members only, and nothing else. NULL if it's not that. */
static struct json_object *parse(const char *text, const char **verb, const char **guest)
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *object;
	bool good;

	*verb = *guest = NULL;
	if (!tokener)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	object = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
	json_tokener_free(tokener);
	good = json_object_is_type(object, json_type_object);
	if (good) {
		json_object_object_foreach(object, key, value) {
			if (!json_object_is_type(value, json_type_string))
				good = false;
			else if (!strcmp(key, "request"))
				*verb = json_object_get_string(value);
			else if (!strcmp(key, "guest"))
				*guest = json_object_get_string(value);
			else
				good = false;
		}
	}
	if (good && *verb)
		return object;
	json_object_put(object);
	return NULL;
}

static char *answer(void *context, const char *text, unsigned int *watch_ms)
{
	struct balancer *balancer = context;
	const char *verb, *name;
	struct json_object *request = parse(text, &verb, &name);
	struct guest *guest;
	char *reply;

	(void)watch_ms;
	if (!request)
		return refuse("a request is a JSON object in one line: \"request\", and perhaps \"guest\"");
	guest = name ? guests_find(&balancer->guests, name) : NULL;
	if (name && !guest)
		reply = refuse("no guest of this name (cswapctl list names all)");
	else if (guest)
		reply = do_for_guest(balancer, verb, (size_t)(guest - balancer->guests.guest));
	else
		reply = do_for_all(balancer, verb);
	json_object_put(request);
	return reply;
}

const struct ctl_ops requests_ops = { .answer = answer };
