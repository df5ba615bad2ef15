/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * suites.h - the suites. Each prints TAP and returns an exit code.
 */
#ifndef SIM_SUITES_H
#define SIM_SUITES_H

/* @filter: only cases whose names contain it; NULL for all. */
int run_functional(const char *socket, const char *filter);
int run_hostile(const char *socket, const char *filter);
/* Of a daemon with --release punch and --control, at @socket with ".ctl" behind it. */
int run_balloon(const char *socket, const char *filter);
/* A case is named by the --release that the daemon has. */
int run_balloon_method(const char *socket, const char *filter);
/* Kills the daemon. */
int run_balloon_kill(const char *socket, const char *filter);
/* Of cswapd-faulty, one at a time: a case is named by its --balloon-fault. */
int run_balloon_lies(const char *socket, const char *filter);
/* Not a suite: a guest that does as the operator wants, until the daemon ends. */
int run_obey(const char *socket, const char *unused);
/* Nor this: a guest whose driver has no balloon. */
int run_decline(const char *socket, const char *unused);
/*
 * Of a daemon with --release punch and --control: kills the process that serves
 * the guest, crash_kills times in all.
 */
int run_crash(const char *socket, const char *filter);
extern unsigned int crash_kills;
/* Of one with a file for its store, that somebody starts again: kills all of it. */
int run_restart(const char *socket, const char *filter);
/* Of two daemons with one store, the other at @socket with ".other" behind it: moves the guest, as often. */
int run_move(const char *socket, const char *filter);
/* Of such two as well: a move that is disturbed. Either may have the store in the end. */
int run_handover(const char *socket, const char *filter);
int run_handover_lock(const char *socket, const char *filter);
/* Of one that logs what it writes to the guest's memory, as often. */
int run_log(const char *socket, const char *filter);
/* Of a daemon whose --store is "store" beside its socket: does harm to the files. */
int run_gone(const char *socket, const char *filter);
/* The same, of one that somebody starts again. */
int run_other_store(const char *socket, const char *filter);
int run_hostile_vmm(const char *socket, const char *filter);
/* Of a daemon with a --watchdog of a second. */
int run_watchdog(const char *socket, const char *filter);
/* Ends the daemon. */
int run_hostile_end(const char *socket, const char *filter);
/* Of cswapd-faulty with a hang of slot 100 and --control: each case ends it. */
int run_hung(const char *socket, const char *filter);

#endif /* SIM_SUITES_H */
