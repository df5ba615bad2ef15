// SPDX-License-Identifier: GPL-2.0-only
/*
 * store_files.c - what a store is kept in, its data and its tags: found or made once, then held.
 *
 * Theory of operation: the process that lives longest finds both files by their names, or
 * makes them, once; every other process has a new open file of the same inode, through
 * /proc/self/fd. So nothing that happens to a name (removed, renamed, given to another
 * file) can put another file under a guest's pages, and nothing is ever made or extended
 * while there is a guest.
 *
 * The process that serves has the lock (store_lock.c); the open files that are held here have
 * none. A block device is held by O_EXCL besides, so that nothing mounts it between two
 * workers; O_EXCL belongs to one open file as well, so the workers' open files are without.
 *
 * Tags are in memory that has no name, or in a file that has one. Such memory exists for as
 * long as a process has its descriptor, and a store without its tags is worthless: so the
 * daemon gives back at its start what an earlier life left in the data.
 *
 * Each file begins with a signature, in a block of its own, that says what the file is and
 * which store it belongs to. A file without a signature is taken only if there is nothing in
 * it (store_found.c), or if the operator says so; until that is clear it isn't even opened for
 * writing, unless it can't be locked otherwise (NFS).
 *
 * A signature may tell of an earlier boot of this host, and of the same daemon. Then a guest
 * left the content and has ended with its host: the daemon empties the file (signature.c).
 */
#include <errno.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/signature.h"
#include "store_files.h"
#include "store_found.h"
#include "store_lock.h"
#include "store_nbd.h"
#include "store_place.h"
#include "tags_mem.h"

/* What is zeroed of a block device that was something else. */
#define WIPE_BYTES STORE_DATA_OFFSET

enum content { CONTENT_NOTHING, CONTENT_STORE, CONTENT_OTHER };

/* What was found in a file. */
struct finding {
	enum content content;
	uint8_t store_id[STORE_ID_BYTES]; /* STORE, as is the next */
	uint8_t id[STORE_ID_BYTES];
	bool is_left;			/* by our user, before the host was started */
	char text[160];			/* OTHER: what */
};

static const char *const file_nouns[] = { "store", "tags" };

/* --- signatures --- */

static void examine(struct finding *found, int fd, unsigned int which, bool is_device,
		    const char *user)
{
	struct signature signature;

	found->content = CONTENT_OTHER;
	if (!signature_read(fd, &signature)) {
		if (store_found_nothing(fd, is_device, found->text, sizeof(found->text)))
			found->content = CONTENT_NOTHING;
	} else if (le32toh(signature.version) != SIGNATURE_VERSION) {
		snprintf(found->text, sizeof(found->text),
			 "a store of another version of cswapd");
	} else if (le32toh(signature.file) != which) {
		snprintf(found->text, sizeof(found->text), "the %s of another store",
			 which == STORE_DATA_FILE ? "tags" : "data");
	} else {
		found->content = CONTENT_STORE;
		found->is_left = signature_is_of(&signature, user) &&
				 signature_origin(&signature) == SIGNATURE_EARLIER_BOOT;
		memcpy(found->store_id, signature.store_id, sizeof(found->store_id));
		memcpy(found->id, signature.id, sizeof(found->id));
	}
}

void store_files_sign(const struct store_files *files, unsigned int which,
		      uint8_t block[STORE_SIGNATURE_BYTES])
{
	struct signature signature;

	memset(&signature, 0, sizeof(signature));
	signature_begin(&signature, files->user);
	signature.file = htole32(which);
	signature.slots = htole64(files->slots);
	memcpy(signature.store_id, files->id, STORE_ID_BYTES);
	memcpy(signature.id, files->identity.id[which], STORE_ID_BYTES);
	memset(block, 0, STORE_SIGNATURE_BYTES);
	memcpy(block, &signature, sizeof(signature));
}

bool store_files_read_id(const uint8_t *block, uint8_t id[STORE_ID_BYTES])
{
	struct signature signature;

	memcpy(&signature, block, sizeof(signature));
	memcpy(id, signature.id, STORE_ID_BYTES);
	return signature_is_one(&signature) && le32toh(signature.file) == STORE_DATA_FILE;
}

void store_files_sign_as(const struct store_files *files, const uint8_t id[STORE_ID_BYTES],
			 uint8_t block[STORE_SIGNATURE_BYTES])
{
	struct store_files other = *files;

	memcpy(other.id, id, STORE_ID_BYTES);
	memcpy(other.identity.id[STORE_DATA_FILE], id, STORE_ID_BYTES);
	store_files_sign(&other, STORE_DATA_FILE, block);
}

static bool write_signature(int fd, const struct store_files *files, unsigned int which)
{
	uint8_t block[STORE_SIGNATURE_BYTES];

	store_files_sign(files, which, block);
	return pwrite(fd, block, sizeof(block), 0) == sizeof(block);
}

enum store_found store_files_judge(const struct store_files *files, unsigned int which,
				   const uint8_t *bytes, size_t n)
{
	struct signature signature;

	if (!bytes[0] && !memcmp(bytes, bytes + 1, n - 1))
		return STORE_FOUND_NOTHING;
	memcpy(&signature, bytes, sizeof(signature));
	if (!signature_is_one(&signature) ||
	    le32toh(signature.file) != which)
		return STORE_FOUND_OTHER;
	return memcmp(signature.id, files->identity.id[which], STORE_ID_BYTES) ?
		       STORE_FOUND_STORE : STORE_FOUND_OURS;
}

/* --- finding them --- */

/* The type of what is there, or of what would be made. */
static bool check_type(const char *name, unsigned int which, bool *exists, bool *is_device)
{
	struct stat st;

	*exists = true;
	*is_device = false;
	if (stat(name, &st)) {
		*exists = false;
		if (errno == ENOENT)
			return true;
		log_err("can't examine %s: %s", name, strerror(errno));
		return false;
	}
	*is_device = S_ISBLK(st.st_mode);
	if (S_ISREG(st.st_mode) || (*is_device && which == STORE_DATA_FILE))
		return true;
	if (which == STORE_DATA_FILE)
		log_err("%s is neither a regular file nor a block device", name);
	else
		log_err("%s isn't a regular file: tags need one", name);
	return false;
}

static int make_file(const char *path, const char *name)
{
	int fd;

	if (store_place_is_none(name)) {
		log_err("%s doesn't exist, and no file is made there: name a block device that does, or a file on a disk",
			path);
		return -1;
	}
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		log_err("can't open %s: %s", path, strerror(errno));
	return fd;
}

/* Found or made, locked, and looked at. */
static bool find_file(struct store_files *files, unsigned int which, const char *user,
		      struct finding *found)
{
	const char *name = files->paths.name[which];
	bool exists, is_device;
	struct stat st;
	int fd;

	if (!check_type(name, which, &exists, &is_device))
		return false;
	fd = exists ? store_lock_open(name, is_device) :
		      make_file(name, files->names.name[which]);
	files->fd[which] = fd;
	if (fd < 0 || !store_lock_found(&files->fd[which], name))
		return false;
	fd = files->fd[which];
	if (fstat(fd, &st) || S_ISBLK(st.st_mode) != is_device) {
		log_err("%s was changed while it was opened", name);
		return false;
	}
	examine(found, fd, which, is_device, user);
	return true;
}

/* --- making them a store --- */

/* False: what is there is somebody's, and @format doesn't allow to destroy it. */
static bool may_take(const struct store_files *files, struct finding *found, bool format)
{
	struct finding *tags = &found[STORE_TAGS_FILE];
	unsigned int i;

	if (found[STORE_DATA_FILE].content == CONTENT_STORE &&
	    tags->content == CONTENT_STORE &&
	    memcmp(found[STORE_DATA_FILE].store_id, tags->store_id, STORE_ID_BYTES)) {
		tags->content = CONTENT_OTHER;
		snprintf(tags->text, sizeof(tags->text), "the tags of another store");
	}
	for (i = 0; i < store_place_num_named(files) && !format; i++) {
		if (found[i].content != CONTENT_OTHER)
			continue;
		log_err("%s is no store%s but %s: was something else meant? If it may be destroyed, start with --format",
			files->paths.name[i], i == STORE_TAGS_FILE ? "'s tags" : "",
			found[i].text);
		return false;
	}
	return true;
}

/* The ids that are there, and new ones for what is new. */
static bool settle_ids(struct store_files *files, const struct finding *found)
{
	bool is_known = false;
	unsigned int i;

	for (i = 0; i < store_place_num_named(files); i++) {
		uint8_t *id = files->identity.id[i];

		if (found[i].content == CONTENT_STORE) {
			memcpy(files->id, found[i].store_id, STORE_ID_BYTES);
			memcpy(id, found[i].id, STORE_ID_BYTES);
			is_known = true;
		} else if (getrandom(id, STORE_ID_BYTES, 0) != STORE_ID_BYTES) {
			return false;
		}
	}
	if (!is_known)
		return getrandom(files->id, STORE_ID_BYTES, 0) == STORE_ID_BYTES;
	for (i = 0; i < store_place_num_named(files); i++)
		if (found[i].content != CONTENT_STORE && store_place_is_file(files, i))
			log_warning("%s is new: what the store held there is lost",
				    files->paths.name[i]);
	return true;
}

uint64_t store_files_bytes(const struct store_files *files, unsigned int which)
{
	return which == STORE_DATA_FILE ?
		       STORE_DATA_OFFSET + files->slots * STORE_SLOT_SIZE :
		       STORE_TAGS_OFFSET + files->slots * STORE_TAG_SIZE;
}

static bool check_device_size(int fd, const char *name, uint64_t bytes)
{
	uint64_t have = 0;

	if (ioctl(fd, BLKGETSIZE64, &have)) {
		log_err("can't get the size of %s: %s", name, strerror(errno));
		return false;
	}
	if (have < bytes)
		log_err("%s is too small: %ju bytes of %ju, which are --size and 1 MiB before it",
			name, (uintmax_t)have, (uintmax_t)bytes);
	return have >= bytes;
}

/*
 * Make a regular file at least @bytes long, without using space for it. What @held
 * something else, or a store whose tags are gone, is emptied; of a store a larger size stays.
 */
static bool size_file(int fd, const char *name, uint64_t bytes, enum content held,
		      bool is_left)
{
	bool empty = held == CONTENT_OTHER || (held == CONTENT_STORE && is_left);
	struct stat st;

	if (!fstat(fd, &st)) {
		if (held != CONTENT_OTHER && (uint64_t)st.st_size > bytes)
			bytes = (uint64_t)st.st_size;
		if ((!empty || !ftruncate(fd, 0)) && !ftruncate(fd, (off_t)bytes))
			return true;
	}
	log_err("can't make %s %ju bytes long: %s", name, (uintmax_t)bytes,
		strerror(errno));
	return false;
}

static bool wipe_device(int fd)
{
	uint8_t *zeros = calloc(1, WIPE_BYTES);
	bool wiped = zeros && pwrite(fd, zeros, WIPE_BYTES, 0) == WIPE_BYTES;

	free(zeros);
	store_found_wipe(fd);
	/* Through the page cache, which the pages of the guest bypass. */
	return wiped && !fdatasync(fd);
}

/*
 * Its pages are of no use to anybody; whether the device can give their space back,
 * or keeps it, is no reason not to go on.
 */
static void discard_device(int fd, const char *name, uint64_t bytes)
{
	uint64_t range[2] = { STORE_DATA_OFFSET, bytes - STORE_DATA_OFFSET };

	if (ioctl(fd, BLKDISCARD, range))
		log_notice("%s keeps what it held before the host was started: %s", name,
			   strerror(errno));
}

static bool claim_file(struct store_files *files, unsigned int which,
		       const struct finding *found)
{
	const char *name = files->paths.name[which];
	uint64_t bytes = store_files_bytes(files, which);
	bool is_device = which == STORE_DATA_FILE && files->is_device, done;
	int fd = store_lock_reopen(files->fd[which], name, O_RDWR);

	if (fd < 0)
		return false;
	done = is_device ? check_device_size(fd, name, bytes) :
			   size_file(fd, name, bytes, found->content,
				     found->is_left || files->tags_in_memory);
	if (done && is_device && found->content == CONTENT_OTHER)
		done = wipe_device(fd);
	if (done && is_device && found->is_left)
		discard_device(fd, name, bytes);
	if (done && found->is_left && which == STORE_DATA_FILE)
		log_notice("%s was last used before this host was started: emptied", name);
	if (done && !write_signature(fd, files, which)) {
		log_err("can't write to %s: %s", name, strerror(errno));
		done = false;
	}
	if (done && !is_device) {
		/* On an overlay the file that is written may be another one by now. */
		close(files->fd[which]);
		files->fd[which] = store_lock_reopen(fd, name, O_RDONLY);
		done = files->fd[which] >= 0;
	}
	close(fd);
	return done;
}

static bool hold(struct store_files *files, unsigned int which)
{
	struct stat st;

	if (fstat(files->fd[which], &st)) {
		log_err("can't examine %s: %s", files->paths.name[which], strerror(errno));
		return false;
	}
	store_place_identify(&files->identity, which, &st);
	return !flock(files->fd[which], LOCK_UN);
}

/* New ones, of nothing. */
static bool make_tags(struct store_files *files)
{
	uint8_t *id = files->identity.id[STORE_TAGS_FILE];
	char beside[STORE_NAME_BYTES + 8];
	struct stat st;

	snprintf(beside, sizeof(beside), "%s.tags", files->paths.name[STORE_DATA_FILE]);
	if (!stat(beside, &st) && S_ISREG(st.st_mode))
		log_notice("%s isn't used: tags are in memory; remove it, or name it by --tags",
			   beside);
	files->fd[STORE_TAGS_FILE] = tags_mem_create(files->slots);
	if (files->fd[STORE_TAGS_FILE] < 0 || fstat(files->fd[STORE_TAGS_FILE], &st))
		return false;
	store_place_identify(&files->identity, STORE_TAGS_FILE, &st);
	return getrandom(id, STORE_ID_BYTES, 0) == STORE_ID_BYTES;
}

/*
 * What is at the server is found when it's there, by who serves (store_nbd.c). Whose it is
 * has to be known before; by tags in a file the next daemon knows it, too.
 */
static bool find_and_claim_at_server(struct store_files *files,
				     const struct store_request *request)
{
	struct finding found[STORE_NUM_FILES] = { { .content = CONTENT_NOTHING } };
	struct finding *tags = &found[STORE_TAGS_FILE];

	if (!files->tags_in_memory && !find_file(files, STORE_TAGS_FILE, request->user, tags))
		return false;
	if (!may_take(files, found, request->format) || !settle_ids(files, found))
		return false;
	memcpy(files->identity.id[STORE_DATA_FILE], files->id, STORE_ID_BYTES);
	if (files->tags_in_memory)
		return make_tags(files);
	return claim_file(files, STORE_TAGS_FILE, tags) && hold(files, STORE_TAGS_FILE);
}

static bool find_and_claim(struct store_files *files, const struct store_request *request)
{
	struct finding found[STORE_NUM_FILES] = { 0 };
	bool is_device, exists;
	unsigned int i;

	if (files->server)
		return find_and_claim_at_server(files, request);
	if (!check_type(files->paths.name[STORE_DATA_FILE], STORE_DATA_FILE, &exists,
			&is_device))
		return false;
	files->is_device = is_device;
	for (i = 0; i < store_place_num_named(files); i++)
		if (!find_file(files, i, request->user, &found[i]))
			return false;
	if (!may_take(files, found, request->format) || !settle_ids(files, found))
		return false;
	for (i = 0; i < store_place_num_named(files); i++)
		if (!claim_file(files, i, &found[i]) || !hold(files, i))
			return false;
	store_place_warn_of_memory(files->fd[STORE_DATA_FILE], request->data_path);
	return !files->tags_in_memory || make_tags(files);
}

/* --- a store that another process has --- */

/* Found, and looked at without a lock: it's that process's to change. */
static bool find_shared(struct store_files *files, unsigned int which, struct finding *found)
{
	const char *name = files->paths.name[which];
	bool exists, is_device;

	if (!check_type(name, which, &exists, &is_device))
		return false;
	*found = (struct finding) { .content = CONTENT_NOTHING };
	if (!exists)
		return true;
	/* A device is held exclusively. */
	files->fd[which] = open(name, O_RDONLY | O_CLOEXEC);
	if (files->fd[which] < 0) {
		log_err("can't open %s: %s", name, strerror(errno));
		return false;
	}
	files->is_device |= is_device;
	/* No earlier daemon left it: another process uses it. */
	examine(found, files->fd[which], which, is_device, NULL);
	return true;
}

/* Tags that are this host's own: a file that no other host has. */
static bool make_own_tags(struct store_files *files, struct finding *found)
{
	if (files->fd[STORE_TAGS_FILE] >= 0)
		close(files->fd[STORE_TAGS_FILE]);
	files->fd[STORE_TAGS_FILE] = -1;
	return find_file(files, STORE_TAGS_FILE, files->user, found) &&
	       found->content == CONTENT_NOTHING &&
	       getrandom(files->identity.id[STORE_TAGS_FILE], STORE_ID_BYTES, 0) == STORE_ID_BYTES &&
	       claim_file(files, STORE_TAGS_FILE, found);
}

static bool find_and_share(struct store_files *files, const struct store_request *request)
{
	struct finding found[STORE_NUM_FILES] = { 0 }, *data = &found[STORE_DATA_FILE],
		       *tags = &found[STORE_TAGS_FILE];
	unsigned int i;

	/* What is there is looked at when the guest comes: until then another daemon has it. */
	if (files->server)
		return find_and_claim_at_server(files, request);
	for (i = 0; i < store_place_num_named(files); i++)
		if (!find_shared(files, i, &found[i]))
			return false;
	if (data->content != CONTENT_STORE ||
	    (uint64_t)lseek(files->fd[STORE_DATA_FILE], 0, SEEK_END) <
		    store_files_bytes(files, STORE_DATA_FILE)) {
		log_err("%s is no store of %ju bytes: --incoming needs the one that the guest has",
			request->data_path, (uintmax_t)files->slots * STORE_SLOT_SIZE);
		return false;
	}
	memcpy(files->id, data->store_id, STORE_ID_BYTES);
	memcpy(files->identity.id[STORE_DATA_FILE], data->id, STORE_ID_BYTES);
	if (files->tags_in_memory)
		return hold(files, STORE_DATA_FILE) && make_tags(files);
	memcpy(files->identity.id[STORE_TAGS_FILE], tags->id, STORE_ID_BYTES);
	if (tags->content == CONTENT_NOTHING && !make_own_tags(files, tags))
		return false;
	if (!may_take(files, found, false))
		return false;
	return hold(files, STORE_DATA_FILE) && hold(files, STORE_TAGS_FILE);
}

/*
 * What each file is to say of its user from a take on. What there is to know of this host isn't known
 * any more when that is written: the process that does it is in its sandbox.
 */
static void prepare_signatures(struct store_files *files, const char *user)
{
	struct signature there;
	unsigned int i;

	for (i = 0; i < store_place_num_named(files); i++) {
		struct signature *to = &files->signature[i];

		signature_begin(to, user);
		if (!signature_read(files->fd[i], &there))
			continue;
		to->file = htole32(i);
		to->slots = htole64(files->slots);
		memcpy(to->store_id, there.store_id, STORE_ID_BYTES);
		memcpy(to->id, there.id, STORE_ID_BYTES);
	}
}

bool store_files_take(const struct store_files *files, unsigned int which, int fd)
{
	_Alignas(SIGNATURE_BLOCK) uint8_t block[SIGNATURE_BLOCK] = { 0 };

	if (flock(fd, LOCK_EX | LOCK_NB))
		return false;
	memcpy(block, &files->signature[which], sizeof(files->signature[which]));
	if (pwrite(fd, block, sizeof(block), 0) == sizeof(block))
		return true;
	log_err("can't write to %s: %s", files->paths.name[which], strerror(errno));
	flock(fd, LOCK_UN);
	return false;
}

static void begin(struct store_files *files, const struct store_request *request)
{
	*files = (struct store_files) STORE_FILES_NONE;
	files->slots = request->slots;
	files->tags_in_memory = !request->tags_path;
	files->format = request->format;
	files->user = request->user;
	files->server = store_nbd_is_name(request->data_path) ? request->server : NULL;
}

bool store_files_open(struct store_files *files, const struct store_request *request)
{
	begin(files, request);
	if (store_place_name_files(files, request) && (request->incoming ? find_and_share(files, request) :
							      find_and_claim(files, request))) {
		prepare_signatures(files, request->user);
		return true;
	}
	store_files_close(files);
	return false;
}

/* --- going on with them --- */

/* Does the name lead to what was held, or could it be that it did? */
static bool leads_there(const struct store_files *files, unsigned int which,
			const struct store_identity *identity,
			const struct store_names *names, bool kept)
{
	struct store_identity found = { 0 };
	const char *path = files->paths.name[which];
	struct stat st;

	if (!stat(path, &st)) {
		store_place_identify(&found, which, &st);
		return store_place_is_same(&found, identity, which);
	}
	if (!kept || strcmp(files->names.name[which], names->name[which]))
		return false;
	log_warning("%s is gone; going on with the removed file, which exists as long as a process has it open",
		    path);
	return true;
}

static bool is_held(int fd, unsigned int which, const struct store_identity *identity,
		    bool kept)
{
	struct store_identity found = { 0 };
	struct signature signature;
	struct stat st;

	if (fstat(fd, &st))
		return false;
	store_place_identify(&found, which, &st);
	if (!store_place_is_same(&found, identity, which))
		return false;
	return kept || (signature_read(fd, &signature) &&
			!memcmp(signature.id, identity->id[which], STORE_ID_BYTES));
}

/* Memory has no name to be found by: it was kept, or it's gone. */
static bool go_on_with_memory(struct store_files *files,
			      const struct store_identity *identity, int kept)
{
	if (kept < 0 || !is_held(kept, STORE_TAGS_FILE, identity, true))
		return false;
	files->fd[STORE_TAGS_FILE] = kept;
	return true;
}

/* False: it's another file. */
static bool go_on_with(struct store_files *files, unsigned int which,
		       const struct store_identity *identity,
		       const struct store_names *names, int kept)
{
	int fd = kept;

	if (which >= store_place_num_named(files))
		return go_on_with_memory(files, identity, kept);
	if (!store_place_is_file(files, which))
		return !strcmp(files->names.name[which], names->name[which]);
	if (!leads_there(files, which, identity, names, kept >= 0))
		return false;
	if (kept < 0)
		fd = store_lock_open(files->paths.name[which],
			       which == STORE_DATA_FILE && files->is_device);
	if (fd >= 0 && is_held(fd, which, identity, kept >= 0)) {
		files->fd[which] = fd;
		return true;
	}
	if (kept < 0 && fd >= 0)
		close(fd);
	return false;
}

bool store_files_go_on(struct store_files *files, const struct store_request *request,
		       const struct store_identity *identity,
		       const struct store_names *names, const int kept[STORE_NUM_FILES],
		       char wrong[STORE_WRONG_BYTES])
{
	unsigned int i;

	begin(files, request);
	files->identity = *identity;
	files->is_device = !files->server && !identity->inode[STORE_DATA_FILE];
	if (!store_place_name_files(files, request)) {
		snprintf(wrong, STORE_WRONG_BYTES, "--store is no name");
		return false;
	}
	if (files->tags_in_memory != !names->name[STORE_TAGS_FILE][0]) {
		snprintf(wrong, STORE_WRONG_BYTES, "--tags isn't what it was: the tags are %s%s",
			 files->tags_in_memory ? "in " : "in memory",
			 names->name[STORE_TAGS_FILE]);
		*files = (struct store_files) STORE_FILES_NONE;
		return false;
	}
	for (i = 0; i < STORE_NUM_FILES; i++) {
		if (go_on_with(files, i, identity, names, kept[i]))
			continue;
		if (i < store_place_num_named(files))
			snprintf(wrong, STORE_WRONG_BYTES, "%s is not its %s, which is %s",
				 files->names.name[i], file_nouns[i], names->name[i]);
		else
			snprintf(wrong, STORE_WRONG_BYTES,
				 "its tags were in memory, and that is gone");
		if (i && kept[0] < 0 && files->fd[0] >= 0)
			close(files->fd[0]);
		*files = (struct store_files) STORE_FILES_NONE;
		return false;
	}
	prepare_signatures(files, request->user);
	return true;
}

void store_files_close(struct store_files *files)
{
	unsigned int i;

	for (i = 0; i < STORE_NUM_FILES; i++) {
		if (files->fd[i] >= 0)
			close(files->fd[i]);
		files->fd[i] = -1;
	}
}
