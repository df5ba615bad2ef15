// SPDX-License-Identifier: GPL-2.0-only
/*
 * tsc_khz.c - prints how many thousand ticks the CPU's time stamp counter makes in a second.
 *
 * Theory of operation: QEMU's emulated CPUs show the machine's own counter. A guest's kernel finds
 * the counter's frequency by the emulated timer chip at boot. On a busy machine the emulation stands
 * still in the middle of that: a guest was seen that took 2,596 MHz for 249, and whose clocks
 * ran ten times too fast from then on. So the kernel is told (tsc_early_khz=).
 *
 * The counter and the system's clock are read together, at both ends of 50 ms or more. Of several
 * readings the one in which the clock was read fastest counts: nothing came between there.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define TRIES 100
#define SPAN_NS 50000000

struct reading {
	uint64_t ticks;
	uint64_t ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct reading read_both(void)
{
	struct reading best = { 0 };
	uint64_t shortest = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), ns = now_ns(), took = __rdtsc() - before;

		if (took < shortest) {
			shortest = took;
			best = (struct reading){ before + took / 2, ns };
		}
	}
	return best;
}

int main(void)
{
	const struct timespec span = { .tv_nsec = SPAN_NS };
	struct reading first = read_both(), last;

	do {
		nanosleep(&span, NULL);
		last = read_both();
	} while (last.ns - first.ns < SPAN_NS);
	printf("%" PRIu64 "\n", (last.ticks - first.ticks) * 1000000 / (last.ns - first.ns));
	return 0;
}
