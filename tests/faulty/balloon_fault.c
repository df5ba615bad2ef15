// SPDX-License-Identifier: GPL-2.0-only
/*
 * balloon_fault.c - a host that lies about the balloon, for tests: cswapd-faulty only.
 *
 * Theory of operation: a fault is about one operation of the control queue and
 * says what is done to its answer, or about the target. Faults count operations
 * of their kind while armed, so that a test can say which of them are hit. Here is
 * only what is to be done (struct control_lie); answer_fault.c does it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "balloon_fault.h"
#include "fault_spec.h"
#include "store_fault.h"

#define MAX_FAULTS 16
#define DEFAULT_DELAY_MS 100
#define UNKNOWN_STATUS 77
/* Neither a size that a guest has, nor one that is whole in any block. */
#define ABSURD_TARGET 0x7ffffffffffff123

enum what {
	DELAY, STALL, NEVER, EARLY, NOSPC, IOERR, BAD_STATUS, BAD_LENGTH, SHORT,
	RESERVED_BITS, TWICE, ABSURD, FLAP, ODD, REPEAT, AGAIN,
	NUM_WHATS
};

static const struct {
	const char *name;
	bool of_target;
} whats[NUM_WHATS] = {
	[DELAY] = { "delay", false },
	[STALL] = { "stall", false },
	[NEVER] = { "never", false },
	[EARLY] = { "early", false },
	[NOSPC] = { "nospc", false },
	[IOERR] = { "ioerr", false },
	[BAD_STATUS] = { "bad-status", false },
	[BAD_LENGTH] = { "bad-length", false },
	[SHORT] = { "short", false },
	[RESERVED_BITS] = { "reserved-bits", false },
	[TWICE] = { "twice", false },
	[ABSURD] = { "absurd", true },
	[FLAP] = { "flap", true },
	[ODD] = { "odd", true },
	[REPEAT] = { "repeat", true },
	[AGAIN] = { "again", true },
};

/* The last one isn't an operation: it's what EVENTs say. */
static const char *const subjects[] = {
	[DEVICE_DISCARD] = "discard",
	[DEVICE_RELEASE] = "release",
	[DEVICE_RECLAIM] = "reclaim",
	[DEVICE_EVENT] = "event",
	[DEVICE_REPORT] = "report",
	"target",
};

#define NUM_SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))
#define TARGET ((int)NUM_SUBJECTS - 1)

const char balloon_fault_help[] =
"\n"
"The host that lies about the balloon:\n"
"  --balloon-fault SUBJECT-WHAT[:every=N][:times=T][:ms=M]\n"
"                      hit every Nth request of that kind, T times (0, the default:\n"
"                      always); armed and reported as the others\n"
"SUBJECT is discard, release, reclaim, report or event, and WHAT:\n"
"  delay         serve it after M ms (default 100)\n"
"  stall         hold it until disarmed, or the ring is stopped\n"
"  never         forget it; an EVENT: say nothing\n"
"  early         say OK first, and do it M ms later (release: the guest's memory\n"
"                may be in use again)\n"
"  nospc, ioerr  do nothing, and say so       bad-status  an unknown status\n"
"  bad-length    a wild used length           short       one of 4 bytes\n"
"  reserved-bits a reserved field is set      twice       use the buffer twice\n"
"What EVENTs say (no delay, stall, early for these):\n"
"  target-absurd more than any guest has      target-odd  a byte more than asked\n"
"  target-flap   now everything, now nothing, as often as the guest listens\n"
"  target-repeat the same again and again, as often as the guest listens\n"
"  target-again  and, each time, that all is to be released again\n";

struct fault {
	size_t subject;
	enum what what;
	uint64_t every;
	uint64_t times;			/* 0: always */
	uint64_t delay_ms;
	uint64_t seen;			/* operations, while armed */
	uint64_t hits;
};

static struct fault faults[MAX_FAULTS];
static unsigned int num_faults;
static bool faults_armed;

/* Does the fault hit the present operation? Only one worker has a control queue. */
static bool hits(struct fault *fault)
{
	if (!__atomic_load_n(&faults_armed, __ATOMIC_RELAXED) ||
	    ++fault->seen % fault->every ||
	    (fault->times && fault->hits >= fault->times))
		return false;
	__atomic_fetch_add(&fault->hits, 1, __ATOMIC_RELAXED);
	return true;
}

static void tell_lie(const struct fault *fault, struct control_lie *lie)
{
	switch (fault->what) {
	case DELAY:
		lie->delay_ms = fault->delay_ms;
		break;
	case STALL:
		lie->stall = true;
		break;
	case NEVER:
		lie->never = true;
		break;
	case EARLY:
		lie->early = true;
		lie->delay_ms = fault->delay_ms;
		break;
	case NOSPC:
		lie->status = VIRTIO_CSWAP_S_NOSPC;
		break;
	case IOERR:
		lie->status = VIRTIO_CSWAP_S_IOERR;
		break;
	case BAD_STATUS:
		lie->status = UNKNOWN_STATUS;
		break;
	case BAD_LENGTH:
		lie->used_bytes = FAULT_WILD_LENGTH;
		break;
	case SHORT:
		lie->used_bytes = 4;
		break;
	case RESERVED_BITS:
		lie->reserved_bits = true;
		break;
	case TWICE:
		lie->twice = true;
		break;
	default:
		break;
	}
}

void balloon_fault_control(enum device_control_op op, struct control_lie *lie)
{
	unsigned int i;

	memset(lie, 0, sizeof(*lie));
	for (i = 0; i < num_faults; i++)
		if (faults[i].subject == op && hits(&faults[i]))
			tell_lie(&faults[i], lie);
}

bool balloon_fault_target(uint64_t told_bytes, uint64_t *target_bytes, bool *again)
{
	bool due = *target_bytes != told_bytes;
	unsigned int i;

	*again = false;
	for (i = 0; i < num_faults; i++) {
		if (faults[i].subject != (size_t)TARGET || !hits(&faults[i]))
			continue;
		switch (faults[i].what) {
		case ABSURD:
			*target_bytes = ABSURD_TARGET;
			break;
		case FLAP:
			*target_bytes = told_bytes ? 0 : ABSURD_TARGET;
			break;
		case ODD:
			(*target_bytes)++;
			break;
		default:
			break;
		}
		*again |= faults[i].what == AGAIN;
		due = *target_bytes != told_bytes || faults[i].what == REPEAT || *again;
	}
	return due;
}

/* --- setting up and reporting --- */

/* Which of the names is @name's first @len bytes? -1: none. */
static int find_subject(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < NUM_SUBJECTS; i++)
		if (strlen(subjects[i]) == len && !strncmp(subjects[i], name, len))
			return (int)i;
	return -1;
}

/* "release-bad-length": the subject is up to the first hyphen. */
static const char *parse_kind(void *to, const char *name)
{
	struct fault *fault = to;
	size_t len = strcspn(name, "-"), j;
	int subject = find_subject(name, len);

	for (j = 0; subject >= 0 && name[len] && j < NUM_WHATS; j++) {
		if (strcmp(whats[j].name, name + len + 1) ||
		    whats[j].of_target != (subject == TARGET))
			continue;
		/* An EVENT waits anyway. */
		if (subject == DEVICE_EVENT &&
		    (j == DELAY || j == STALL || j == EARLY))
			break;
		fault->subject = (size_t)subject;
		fault->what = (enum what)j;
		return NULL;
	}
	return "unknown kind";
}

static const char *parse_field(void *to, const char *field)
{
	struct fault *fault = to;
	const char *text = strchr(field, '=');
	unsigned long long value;
	char *end;

	if (!text || text[1] < '0' || text[1] > '9')
		return "a field is not NAME=NUMBER";
	errno = 0;
	value = strtoull(text + 1, &end, 10);
	if (errno || *end)
		return "not a number";
	if (!strncmp(field, "every=", 6) && value)
		fault->every = value;
	else if (!strncmp(field, "times=", 6))
		fault->times = value;
	else if (!strncmp(field, "ms=", 3) && value <= 3600 * 1000)
		fault->delay_ms = value;
	else
		return "unknown field, or a value out of range";
	return NULL;
}

const char *balloon_fault_add(const char *spec)
{
	static const struct fault_spec_parts parts = { parse_kind, parse_field };
	struct fault *fault = &faults[num_faults];
	const char *wrong;

	if (num_faults == MAX_FAULTS)
		return "too many faults";
	*fault = (struct fault) { .every = 1, .delay_ms = DEFAULT_DELAY_MS };
	wrong = fault_spec_parse(spec, fault, &parts);
	if (!wrong)
		num_faults++;
	return wrong;
}

void balloon_fault_arm(bool armed)
{
	__atomic_store_n(&faults_armed, armed, __ATOMIC_RELAXED);
}

bool balloon_fault_report(FILE *file)
{
	unsigned int i;

	for (i = 0; i < num_faults; i++)
		if (fprintf(file, "kind=%s-%s ops=%ju\n",
			    subjects[faults[i].subject],
			    whats[faults[i].what].name,
			    (uintmax_t)__atomic_load_n(&faults[i].hits,
						       __ATOMIC_RELAXED)) < 0)
			return false;
	return true;
}
