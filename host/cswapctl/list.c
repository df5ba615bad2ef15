// SPDX-License-Identifier: GPL-2.0-only
/*
 * list.c - all guests of this host, a line each.
 */
#include <stdio.h>

#include "balancer.h"
#include "instances.h"
#include "list.h"
#include "print.h"

/* A daemon answers in a millisecond; one with a stuck front end in ten seconds. */
#define PATIENCE_MS 2000
#define NAME_COLUMNS 20			/* at least: it's a table of 80 then */

static void print_table(const struct instances *instances, struct json_object *balancer)
{
	const struct instance *instance;
	const struct status *status;
	const char *remark, *trouble;
	unsigned int columns = instances_name_columns(instances);
	size_t i;

	/* Names are whole, whatever becomes of the columns: programs read this, too. */
	columns = columns < NAME_COLUMNS ? NAME_COLUMNS : columns;
	printf("%s %8s %8s %8s %8s %8s  %s\n", instances_name("GUEST", columns), "MEMORY", "KEPT",
	       "RELEASED", "TARGET", "USED", "STATE");
	for (i = 0; i < instances->count; i++) {
		instance = &instances->list[i];
		status = &instance->status;
		remark = balancer_remark(balancer, instance->socket);
		trouble = status_trouble(status);
		printf("%s %8s %8s %8s %8s %8s  %s%s%s%s%s\n",
		       instances_name(instance->name, columns),
		       instances_size(status->memory),
		       instances_size(instances_kept(status)),
		       instances_size(status->released),
		       instances_size(status->target),
		       instances_size(instances_used(status)), instance->state,
		       trouble ? ", " : "", trouble ? trouble : "",
		       remark ? ", " : "", remark ? remark : "");
	}
}

static void print_all_json(const struct instances *instances)
{
	struct json_object *all = json_object_new_object(), *one;
	struct json_object *guests = json_object_new_array();
	const struct instance *instance;
	size_t i;

	for (i = 0; i < instances->count; i++) {
		instance = &instances->list[i];
		one = json_object_new_object();
		json_object_object_add(one, "name",
				       json_object_new_string(instance->name));
		json_object_object_add(one, "socket",
				       json_object_new_string(instance->socket));
		json_object_object_add(one, "status",
				       json_object_get(instance->answer));
		json_object_array_add(guests, one);
	}
	json_object_object_add(all, "guests", guests);
	print_json(all);
	json_object_put(all);
}

int list_run(const struct options *options)
{
	struct json_object *balancer;
	struct instances instances;

	if (!instances_ask(&instances, options->directory, PATIENCE_MS))
		return EXIT_FAILED;
	if (options->json) {
		print_all_json(&instances);
	} else if (instances.count) {
		balancer = balancer_list(options, PATIENCE_MS);
		print_table(&instances, balancer);
		json_object_put(balancer);
	} else {
		fprintf(stderr, "cswapctl: no guest: no daemon has a control socket in %s/GUEST (systemctl start cswapd@GUEST)\n",
			options->directory);
	}
	instances_free(&instances);
	return 0;
}
