// SPDX-License-Identifier: GPL-2.0-only
/*
 * signature.c - how a store's file begins: what it is, and which daemon used it last.
 *
 * Theory of operation: a guest's pages are worthless when the guest has ended, and no guest
 * outlives its host's boot. So the boot's id says whether a store's content can still be
 * of use, and the host's id says whose boots are compared: a store may lie where several
 * hosts see it. The machine-id itself is confidential (machine-id(5)); the signature has an
 * id that is derived from it.
 *
 * A unit may hide the file in which the kernel tells the boot's id (ProcSubset=pid). Then
 * systemd passes the id on: Environment=CSWAPD_BOOT_ID=%b.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-id128.h>
#include <time.h>
#include <unistd.h>

#include "signature.h"

#define MAGIC "virtio-cswap\n\032\0"
/* Whose the ids derived from machine-ids are; never to be changed. */
#define HOST_ID_OF_STORES SD_ID128_MAKE(2f, 9c, 41, d7, 5e, 0b, 4a, 86, 93, 1d, c8, 70, 6a, e4, 35, bf)

bool signature_is_one(const struct signature *signature)
{
	return !memcmp(signature->magic, MAGIC, sizeof(signature->magic));
}

bool signature_read(int fd, struct signature *signature)
{
	return pread(fd, signature, sizeof(*signature), 0) == sizeof(*signature) &&
	       signature_is_one(signature);
}

static void tell_boot(char boot_id[40])
{
	const char *told = getenv("CSWAPD_BOOT_ID");
	sd_id128_t id;

	*boot_id = '\0';
	if (sd_id128_get_boot(&id) >= 0 || (told && sd_id128_from_string(told, &id) >= 0))
		snprintf(boot_id, 40, SD_ID128_UUID_FORMAT_STR, SD_ID128_FORMAT_VAL(id));
}

static void tell_host(uint8_t host_id[SIGNATURE_ID_BYTES])
{
	sd_id128_t id = SD_ID128_NULL;

	if (sd_id128_get_machine_app_specific(HOST_ID_OF_STORES, &id) < 0)
		id = SD_ID128_NULL;
	memcpy(host_id, id.bytes, SIGNATURE_ID_BYTES);
}

void signature_begin(struct signature *signature, const char *user)
{
	*signature = (struct signature) {
		.magic = MAGIC,
		.version = htole32(SIGNATURE_VERSION),
		.used_s = htole64((uint64_t)time(NULL)),
	};
	tell_boot(signature->boot_id);
	tell_host(signature->host_id);
	snprintf(signature->user, sizeof(signature->user), "%s", user ? user : "");
}

static bool is_known(const uint8_t host_id[SIGNATURE_ID_BYTES])
{
	static const uint8_t unknown[SIGNATURE_ID_BYTES];

	return memcmp(host_id, unknown, SIGNATURE_ID_BYTES);
}

enum signature_origin signature_origin(const struct signature *signature)
{
	struct signature now;

	signature_begin(&now, NULL);
	if (!*now.boot_id || !*signature->boot_id)
		return SIGNATURE_UNKNOWN;
	/* No two boots have the same one, wherever they are. */
	if (!strncmp(now.boot_id, signature->boot_id, sizeof(now.boot_id)))
		return SIGNATURE_THIS_BOOT;
	if (!is_known(now.host_id) || !is_known(signature->host_id))
		return SIGNATURE_UNKNOWN;
	return memcmp(now.host_id, signature->host_id, SIGNATURE_ID_BYTES) ?
		       SIGNATURE_OTHER_HOST : SIGNATURE_EARLIER_BOOT;
}

bool signature_is_of(const struct signature *signature, const char *user)
{
	struct signature now;

	signature_begin(&now, user);
	return *now.user && !strncmp(signature->user, now.user, sizeof(now.user));
}
