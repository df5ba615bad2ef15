// SPDX-License-Identifier: GPL-2.0-only
/*
 * cswap_seal.c - the command line of cswap-seal: seal and open pages, print and
 * check test vectors.
 *
 * Everything secret (key and page) lives in one structure that main() zeroes
 * before it returns; nothing below main() exits. A page is written out only
 * once the whole of it has proved genuine.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "common/version.h"
#include "sealed_page.h"
#include "vectors.h"

enum { EXIT_GOOD = 0, EXIT_NOT_GENUINE = 1, EXIT_TROUBLE = 2 };

struct work {
	/* from the command line */
	struct sealed_id id;
	bool has_key, has_device, has_slot, has_counter;
	const char *tag_path;		/* NULL: the tag follows the page */
	const char *input, *output;	/* "-": the standard stream */

	/* secret */
	uint8_t key[SEALED_KEY_BYTES];
	uint8_t page[SEALED_PAGE_BYTES];

	uint8_t sealed[SEALED_PAGE_BYTES + SEALED_TAG_BYTES];
};

static const char usage_text[] =
"Usage: cswap-seal seal ID [--tag-file FILE] [INPUT [OUTPUT]]\n"
"       cswap-seal open ID [--tag-file FILE] [INPUT [OUTPUT]]\n"
"       cswap-seal vectors\n"
"       cswap-seal check FILE\n"
"Seal and open pages in the format of virtio-cswap (AES-256-GCM).\n"
"\n"
"  seal       read a page of 4096 bytes, write it sealed\n"
"  open       read a sealed page, write the page if it is genuine\n"
"  vectors    print the test vectors\n"
"  check      verify a file of test vectors (\"-\": standard input)\n"
"\n"
"ID, all of it needed:\n"
"  -k, --key HEX        the key, 64 hex digits; others may see a command line,\n"
"                       so for a key that matters use\n"
"  -K, --key-file FILE  a file with 64 hex digits, or with 32 bytes\n"
"  -d, --device N       the driver's number for the device\n"
"  -s, --slot N         the slot\n"
"  -c, --counter N      the store counter that the page was sealed with\n"
"\n"
"  -t, --tag-file FILE  keep the tag in a file of its own; otherwise its 16\n"
"                       bytes follow the sealed page\n"
"  -h, --help           print this\n"
"      --version\n"
"\n"
"INPUT and OUTPUT are standard input and output if not given, or \"-\".\n"
"Exit status: 0 done; 1 not genuine, or a vector is wrong; 2 any other trouble.\n";

static int __attribute__((format(printf, 1, 2))) trouble(const char *format, ...)
{
	va_list args;

	fputs("cswap-seal: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return EXIT_TROUBLE;
}

/* --- arguments --- */

static int parse_number(const char *text, const char *what, uint64_t max, uint64_t *to,
			bool *seen)
{
	char *end;

	errno = 0;
	*to = strtoull(text, &end, 0);
	if (errno || end == text || *end || strchr(text, '-'))
		return trouble("%s: '%s' is not a number of 64 bits", what, text);
	if (*to > max)
		return trouble("%s: %s is beyond the last, %llu", what, text,
			       (unsigned long long)max);
	*seen = true;
	return EXIT_GOOD;
}

static bool key_from_hex(uint8_t *key, const char *text, size_t bytes)
{
	size_t got;

	return sodium_hex2bin(key, SEALED_KEY_BYTES, text, bytes, NULL, &got, NULL) == 0 &&
	       got == SEALED_KEY_BYTES && bytes == 2 * SEALED_KEY_BYTES;
}

static int parse_key(struct work *work, char *text)
{
	bool good = key_from_hex(work->key, text, strlen(text));

	/* Out of sight of ps, as far as that goes. */
	sodium_memzero(text, strlen(text));
	if (!good)
		return trouble("--key: a key is %d hex digits", 2 * SEALED_KEY_BYTES);
	work->has_key = true;
	return EXIT_GOOD;
}

/*
 * Read all of @path, up to @room bytes; says when there is more. Unbuffered,
 * so that no copy of a secret stays behind in stdio. Returns bytes, or -1.
 */
static ssize_t read_whole(const char *path, uint8_t *to, size_t room)
{
	bool std = !strcmp(path, "-");
	int fd = std ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t got = -1;
	uint8_t extra;

	if (fd < 0) {
		trouble("%s: %s", path, strerror(errno));
		return -1;
	}
	do {
		got = have < room ? read(fd, to + have, room - have) : read(fd, &extra, 1);
		if (got > 0)
			have += (size_t)got;
	} while ((got > 0 && have <= room) || (got < 0 && errno == EINTR));
	sodium_memzero(&extra, sizeof(extra));
	if (got < 0)
		trouble("%s: %s", path, strerror(errno));
	if (!std)
		close(fd);
	return got < 0 ? -1 : (ssize_t)have;
}

static int read_key_file(struct work *work, const char *path)
{
	uint8_t text[2 * SEALED_KEY_BYTES + 1];	/* the digits and a newline */
	ssize_t bytes = read_whole(path, text, sizeof(text));
	bool good = false;

	if (bytes < 0)
		return EXIT_TROUBLE;
	if (bytes == sizeof(text) && text[bytes - 1] == '\n')
		bytes--;
	if (bytes == SEALED_KEY_BYTES) {
		memcpy(work->key, text, SEALED_KEY_BYTES);
		good = true;
	} else if (bytes == 2 * SEALED_KEY_BYTES) {
		good = key_from_hex(work->key, (const char *)text, (size_t)bytes);
	}
	sodium_memzero(text, sizeof(text));
	if (!good)
		return trouble("%s: a key file holds %d hex digits, or %d bytes", path,
			       2 * SEALED_KEY_BYTES, SEALED_KEY_BYTES);
	work->has_key = true;
	return EXIT_GOOD;
}

static int parse_option(struct work *work, int option)
{
	switch (option) {
	case 'k':
		return parse_key(work, optarg);
	case 'K':
		return read_key_file(work, optarg);
	case 'd':
		return parse_number(optarg, "--device", UINT64_MAX, &work->id.device,
				    &work->has_device);
	case 's':
		return parse_number(optarg, "--slot", VIRTIO_CSWAP_MAX_CAPACITY - 1,
				    &work->id.slot, &work->has_slot);
	case 'c':
		return parse_number(optarg, "--counter", UINT64_MAX, &work->id.counter,
				    &work->has_counter);
	case 't':
		work->tag_path = optarg;
		return EXIT_GOOD;
	default:
		fputs("Try 'cswap-seal --help'.\n", stderr);
		return EXIT_TROUBLE;
	}
}

static int parse_page_arguments(struct work *work, int argc, char **argv)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "key-file", required_argument, NULL, 'K' },
		{ "device", required_argument, NULL, 'd' },
		{ "slot", required_argument, NULL, 's' },
		{ "counter", required_argument, NULL, 'c' },
		{ "tag-file", required_argument, NULL, 't' },
		{ }
	};
	int option, status;

	while ((option = getopt_long(argc, argv, "k:K:d:s:c:t:", options, NULL)) != -1) {
		status = parse_option(work, option);
		if (status)
			return status;
	}
	if (!work->has_key || !work->has_device || !work->has_slot || !work->has_counter)
		return trouble("%s needs a key, a device, a slot and a counter", argv[0]);
	if (argc - optind > 2)
		return trouble("%s takes one input and one output", argv[0]);
	work->input = optind < argc ? argv[optind] : "-";
	work->output = optind + 1 < argc ? argv[optind + 1] : "-";
	return EXIT_GOOD;
}

/* --- pages --- */

static int read_exactly(const char *path, uint8_t *to, size_t bytes, const char *what)
{
	ssize_t got = read_whole(path, to, bytes);

	if (got < 0)
		return EXIT_TROUBLE;
	if ((size_t)got < bytes)
		return trouble("%s: %s is %zu bytes, here are only %zd", path, what, bytes, got);
	if ((size_t)got > bytes)
		return trouble("%s: %s is %zu bytes, here are more", path, what, bytes);
	return EXIT_GOOD;
}

static int write_whole(const char *path, const uint8_t *from, size_t bytes)
{
	bool std = !strcmp(path, "-");
	int fd = std ? STDOUT_FILENO :
		 open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
	ssize_t put = 0;

	if (fd < 0)
		return trouble("%s: %s", path, strerror(errno));
	while (bytes && (put >= 0 || errno == EINTR)) {
		put = write(fd, from, bytes);
		if (put > 0) {
			from += put;
			bytes -= (size_t)put;
		}
	}
	if (!std && close(fd) && !bytes)
		return trouble("%s: %s", path, strerror(errno));
	if (bytes)
		return trouble("%s: %s", path, strerror(errno));
	return EXIT_GOOD;
}

static int seal_page(struct work *work)
{
	uint8_t *tag = work->sealed + SEALED_PAGE_BYTES;
	size_t bytes = work->tag_path ? SEALED_PAGE_BYTES : sizeof(work->sealed);
	int status;

	status = read_exactly(work->input, work->page, sizeof(work->page), "a page");
	if (status)
		return status;
	sealed_page_seal(work->sealed, tag, work->page, &work->id, work->key);
	status = write_whole(work->output, work->sealed, bytes);
	if (!status && work->tag_path)
		status = write_whole(work->tag_path, tag, SEALED_TAG_BYTES);
	return status;
}

static int open_page(struct work *work)
{
	uint8_t *tag = work->sealed + SEALED_PAGE_BYTES;
	size_t bytes = work->tag_path ? SEALED_PAGE_BYTES : sizeof(work->sealed);
	int status;

	status = read_exactly(work->input, work->sealed, bytes,
			      work->tag_path ? "a sealed page" : "a sealed page with its tag");
	if (!status && work->tag_path)
		status = read_exactly(work->tag_path, tag, SEALED_TAG_BYTES, "a tag");
	if (status)
		return status;
	if (!sealed_page_open(work->page, work->sealed, tag, &work->id, work->key)) {
		trouble("%s: not genuine: not this page, or not of this key, device, slot and counter",
			work->input);
		return EXIT_NOT_GENUINE;
	}
	return write_whole(work->output, work->page, sizeof(work->page));
}

/* --- commands --- */

static int run_page(struct work *work, int argc, char **argv)
{
	int status = parse_page_arguments(work, argc, argv);

	if (status)
		return status;
	return strcmp(argv[0], "seal") ? open_page(work) : seal_page(work);
}

static int run_vectors(struct work *work, int argc, char **argv)
{
	(void)work;
	if (argc != 1)
		return trouble("%s takes no argument", argv[0]);
	vectors_print(stdout);
	return EXIT_GOOD;
}

static int run_check(struct work *work, int argc, char **argv)
{
	bool good;
	FILE *file;

	(void)work;
	if (argc != 2)
		return trouble("%s takes one file", argv[0]);
	file = strcmp(argv[1], "-") ? fopen(argv[1], "re") : stdin;
	if (!file)
		return trouble("%s: %s", argv[1], strerror(errno));
	good = vectors_check(file, argv[1]);
	if (file != stdin)
		fclose(file);
	return good ? EXIT_GOOD : EXIT_NOT_GENUINE;
}

static const struct command {
	const char *name;
	int (*run)(struct work *work, int argc, char **argv);
} commands[] = {
	{ "seal", run_page },
	{ "open", run_page },
	{ "vectors", run_vectors },
	{ "check", run_check },
};

static int run(struct work *work, int argc, char **argv)
{
	const char *missing;

	if (argc < 2) {
		fputs(usage_text, stderr);
		return EXIT_TROUBLE;
	}
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) {
			fputs(usage_text, stdout);
			return EXIT_GOOD;
		}
	}
	if (!strcmp(argv[1], "--version")) {
		printf("cswap-seal %s\n", cswap_version);
		return EXIT_GOOD;
	}
	missing = sealed_page_init();
	if (missing)
		return trouble("%s", missing);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(work, argc - 1, argv + 1);
	return trouble("no command '%s'; try 'cswap-seal --help'", argv[1]);
}

int main(int argc, char **argv)
{
	struct work work = { .input = "-", .output = "-" };
	int status = run(&work, argc, argv);

	sodium_memzero(&work, sizeof(work));
	if (fflush(stdout) || ferror(stdout))
		status = trouble("standard output: %s", strerror(errno));
	return status;
}
