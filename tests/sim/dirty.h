/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dirty.h - is everything logged that the daemon writes to the guest's memory?
 */
#ifndef SIM_DIRTY_H
#define SIM_DIRTY_H

#include "guest.h"

struct dirty_count {
	u64 logged;			/* pages */
	u64 written;			/* ... that differ, by the daemon's doing alone */
	u64 missing;			/* ... of them that aren't in the log */
};

/*
 * From now on the daemon is to log. Without @log it isn't told to: then what it writes is missing.
 * One guest at a time.
 */
int dirty_begin(struct guest *g, bool log);
/* No ring runs: look. The log ends with the next features, or the connection. */
int dirty_end(struct guest *g, struct dirty_count *count);
/* Another log, which is longer than its file: the daemon has none from now on. */
int dirty_lose_log(struct guest *g);
/* The front end's message that the log has ended; dirty_end() is what we see of it. */
int dirty_stop_logging(struct guest *g);

#endif /* SIM_DIRTY_H */
