// SPDX-License-Identifier: GPL-2.0-only
/*
 * diskload.c - how fast is a disk, one request after the other, without a swap core in front?
 *
 * Theory of operation: four loads in turn, by O_DIRECT, each of which waits for one request before it
 * makes the next: what reclaim does when it writes (neighbouring pages, many at a time), what
 * read-ahead does, and single pages in any order, as faults want them. The first covers the whole
 * span before its time counts as over, so that all others meet what has been written.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES	4096u
#define CLUSTER_BYTES	(32 * PAGE_BYTES)	/* SWAP_CLUSTER_MAX pages */
#define MIB		(1024u * 1024u)
#define SAMPLES_MAX	(1u << 19)
#define NS_PER_S	1000000000u

struct load {
	const char *name;
	bool writes, random;
	uint32_t bytes;		/* of a request */
};

static const struct load loads[] = {
	{ "write", true, false, CLUSTER_BYTES },
	{ "read", false, false, CLUSTER_BYTES },
	{ "page_write", true, true, PAGE_BYTES },
	{ "page_read", false, true, PAGE_BYTES },
};

static uint32_t samples_ns[SAMPLES_MAX];
static _Alignas(PAGE_BYTES) uint8_t buffer[CLUSTER_BYTES];

static void die(const char *what)
{
	fprintf(stderr, "diskload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* xorshift64: any order that doesn't repeat soon */
static uint64_t next_random(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void request(int fd, const struct load *load, uint64_t offset)
{
	ssize_t done = load->writes ? pwrite(fd, buffer, load->bytes, (off_t)offset) :
				      pread(fd, buffer, load->bytes, (off_t)offset);

	if (done < 0)
		die(load->name);
	if (done != (ssize_t)load->bytes) {
		fprintf(stderr, "diskload: %s: %zd bytes of %" PRIu32 "\n", load->name, done,
			load->bytes);
		exit(1);
	}
}

static void load_tell(const struct load *load, uint32_t n, uint64_t ns)
{
	qsort(samples_ns, n, sizeof(*samples_ns), compare_u32);
	printf("%s_mib_s=%.1f %s_p50_us=%.1f %s_p99_us=%.1f\n",
	       load->name, (double)n * load->bytes / MIB * NS_PER_S / (double)ns,
	       load->name, samples_ns[n / 2] / 1000.0,
	       load->name, samples_ns[n - 1 - n / 100] / 1000.0);
}

/* @span: bytes, whole clusters. What was written is on its medium when the time is taken. */
static void load_run(int fd, const struct load *load, uint64_t span, uint64_t limit_ns)
{
	uint64_t requests = span / load->bytes, start = now_ns(), last = start;
	uint32_t n = 0;

	while (n < SAMPLES_MAX &&
	       (last - start < limit_ns || (!load->random && n < requests))) {
		uint64_t at = load->random ? next_random() % requests : n % requests;
		uint64_t now;

		request(fd, load, at * load->bytes);
		now = now_ns();
		samples_ns[n++] = (uint32_t)(now - last < UINT32_MAX ? now - last : UINT32_MAX);
		last = now;
	}
	if (load->writes && fsync(fd))
		die("fsync");
	load_tell(load, n, now_ns() - start);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!value || *end || value > 1u << 20) {
		fprintf(stderr, "Usage: diskload DISK MIB SECONDS\n");
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	uint64_t span, limit_ns;
	unsigned int i;
	int fd;

	span = number(argc == 4 ? argv[2] : "") * MIB;
	limit_ns = number(argv[3]) * NS_PER_S;
	fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		die(argv[1]);
	if (getrandom(buffer, 256, 0) != 256)
		die("getrandom");
	for (i = 256; i < sizeof(buffer); i++)
		buffer[i] = buffer[i - 256] ^ (uint8_t)(i >> 8);
	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		load_run(fd, &loads[i], span, limit_ns);
	return 0;
}
