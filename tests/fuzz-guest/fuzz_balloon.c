// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz_balloon.c - any targets, answers, EVENTs and resets: cswap_policy.c and cswap_blocks.c.
 *
 * The first half of the input moves the policy through samples of any content: the
 * guest's floor must hold whatever the target is. The second is a script for the blocks:
 * a block whose RELEASE isn't answered is never in use again (I5), and no page is lost.
 */
#include "cswap_blocks.h"
#include "cswap_policy.h"
#include "input.h"

#define BLOCKS 16

static void try_policy(struct input *input)
{
	const struct cswap_policy_limits limits = {
		.enabled = input_u8(input) & 1 || true,
		.floor_percent = input_u8(input) % 101,
		.floor_mib = input_u8(input),
		.brake_percent = input_u8(input) % 101,
	};
	struct cswap_policy_sample sample = { .size = 1 + input_u64(input) % (1ULL << 40) };
	struct cswap_policy policy;
	unsigned int steps = input_u8(input);

	cswap_policy_init(&policy);
	while (steps-- && input->left) {
		struct cswap_policy_verdict verdict;

		sample.now_ms += input_u8(input) << input_u8(input) % 16;
		sample.out = input_u64(input) % (sample.size + 1);
		sample.target = input_u64(input);
		sample.swap_in_ns += input_u64(input) % (1ULL << 40);
		sample.refaults += input_u8(input);
		sample.alloc_stalls += input_u8(input);
		sample.ooms += !input_u8(input);
		sample.own_reclaim = input_u8(input) & 1;
		verdict = cswap_policy_step(&policy, &limits, &sample);
		MUST(verdict.why <= VIRTIO_CSWAP_STOP_OWNER);
		/* More is only what is out already, and never more than was asked. */
		MUST(verdict.goal <= sample.target || verdict.goal <= sample.out);
		MUST(verdict.goal + verdict.floor <= sample.size ||
		     verdict.goal <= sample.out || !verdict.goal);
		MUST(!(verdict.goal > sample.out && verdict.goal + verdict.floor > sample.size));
	}
}

struct world {
	struct cswap_blocks blocks;
	struct cswap_mem_range with_device[VIRTIO_CSWAP_MAX_RANGES];
	uint32_t num_with_device;
	bool releasing;
	u64 next_pfn, pages_in;
};

static void add(struct world *world)
{
	struct cswap_block *block = cswap_blocks_spare(&world->blocks);

	if (!block)
		block = calloc(1, sizeof(*block));
	if (world->pages_in >= BLOCKS * 512) {
		free(block);
		return;
	}
	cswap_blocks_add(&world->blocks, block, world->next_pfn, 512);
	world->next_pfn += 512 * (1 + world->next_pfn / 512 % 2);
	world->pages_in += 512;
}

static void get(struct world *world, bool urgent, u64 most)
{
	struct cswap_mem_range range;
	uint32_t i;

	if (!cswap_blocks_get(&world->blocks, urgent, most, NULL, &range))
		return;
	for (i = 0; world->releasing && i < world->num_with_device; i++)
		MUST(range.pfn + range.pages <= world->with_device[i].pfn ||
		     world->with_device[i].pfn + world->with_device[i].pages <= range.pfn);
	world->pages_in -= range.pages;
}

static void request(struct world *world, bool release, u64 pages)
{
	uint32_t n = release ? cswap_blocks_release(&world->blocks, pages, world->with_device) :
			       cswap_blocks_reclaim(&world->blocks, pages, world->with_device);

	MUST(n <= VIRTIO_CSWAP_MAX_RANGES);
	if (!n)
		return;
	MUST(!world->num_with_device);
	world->num_with_device = n;
	world->releasing = release;
}

/* As the driver has it: an answer is only fetched to a request that is out. */
static void answer(struct world *world, uint8_t how)
{
	if (!world->num_with_device)
		return;
	world->num_with_device = 0;
	if (how < 200)
		cswap_blocks_answered(&world->blocks, how & 1);
	else if (how < 230)
		cswap_blocks_unsent(&world->blocks);
	else
		cswap_blocks_reset(&world->blocks);
}

static void forget(struct world *world)
{
	struct cswap_mem_range range;
	struct cswap_block *block;

	cswap_blocks_reset(&world->blocks);
	while (cswap_blocks_get(&world->blocks, true, ~0ULL, NULL, &range))
		world->pages_in -= range.pages;
	MUST(!world->pages_in && !cswap_blocks_out(&world->blocks));
	while ((block = cswap_blocks_spare(&world->blocks)))
		free(block);
}

static void try_blocks(struct input *input)
{
	struct world *world = calloc(1, sizeof(*world));

	while (input->left) {
		uint8_t what = input_u8(input);

		switch (what % 6) {
		case 0:
			add(world);
			break;
		case 1:
			get(world, what & 64, what & 128 ? ~0ULL : 512);
			break;
		case 2:
			request(world, true, what * 8);
			break;
		case 3:
			request(world, false, what * 8);
			break;
		case 4:
			cswap_blocks_again(&world->blocks);
			break;
		default:
			answer(world, input_u8(input));
		}
		MUST(cswap_blocks_out(&world->blocks) == world->pages_in);
	}
	forget(world);
	free(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };

	try_policy(&input);
	try_blocks(&input);
	return 0;
}
