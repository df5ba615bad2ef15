// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker_request.c - what a pair has in hand: its requests, from taken to answered.
 *
 * Theory of operation: a pair has as many requests as its ring can hold, and some more whose
 * chains are back already. Each is noted under its index where another process finds it
 * (inflight.c), and is free again when the guest has been shown the answer.
 */
#include <string.h>

#include "worker_parts.h"

struct request *request_use(struct pair *pair, uint16_t index)
{
	struct request *request = &pair->requests[index];

	request->pair = pair;
	request->log = &pair->log->request[index];
	return request;
}

struct request *request_get(struct pair *pair)
{
	return request_use(pair, pair->free[--pair->num_free]);
}

bool request_is_returned(const struct request *request)
{
	return request->pair->returned[request - request->pair->requests];
}

void request_note_returned(struct request *request, bool returned)
{
	struct pair *pair = request->pair;

	pair->num_returned += (unsigned int)returned - request_is_returned(request);
	pair->returned[request - pair->requests] = returned;
}

void request_init_all(struct pair *pair)
{
	unsigned int room;

	pair->num_free = 0;
	pair->num_returned = 0;
	memset(pair->returned, 0, sizeof(pair->returned));
	pair->acks = 0;
	list_init(&pair->again);
	for (room = 0; room < ROOMS; room++)
		list_init(&pair->loads[room]);
	pair->loads_waiting = 0;
	list_init(&pair->done);
	list_init(&pair->answered);
}

void request_put(struct request *request)
{
	struct pair *pair = request->pair;

	INFLIGHT_SET(request->log->chain, INFLIGHT_FREE);
	INFLIGHT_SET(request->log->answer, INFLIGHT_FREE);
	request_note_returned(request, false);
	pair->free[pair->num_free++] = (uint16_t)(request - pair->requests);
}

void request_put_all(struct request_list *list)
{
	while (list->first)
		request_put(list_shift(list));
}
