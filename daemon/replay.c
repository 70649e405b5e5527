// SPDX-License-Identifier: GPL-2.0-only
/* How to do a run again: see replay.h. */
#include "replay.h"

#include <inttypes.h>

#include "config.h"
#include "util.h"

#define VARIABLE     "BPFSOAKD_REPLAY"
#define SHORTEST_NS  (60 * NSEC_PER_SEC)
#define UNBOUNDED_NS (3600 * NSEC_PER_SEC) /* of a run until stopped */

const char *replay_base(void)
{
	const char *base = getenv(VARIABLE);

	return base && *base ? base : NULL;
}

uint64_t replay_duration(const struct config *config, uint64_t seen_ns)
{
	uint64_t whole = config->duration_ns ? config->duration_ns : UNBOUNDED_NS;

	if (!seen_ns)
		return whole;
	return MIN(MAX(2 * seen_ns, SHORTEST_NS),
		   config->duration_ns ? config->duration_ns : UINT64_MAX);
}

char *replay_command(const struct config *config, const char *base, uint64_t duration_ns)
{
	_cleanup_free_ char *arguments = config_arguments(config);
	uint64_t seconds = (duration_ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC;
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	if (!arguments)
		return NULL;
	out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	fprintf(out, "%s --duration=%" PRIu64 "s%s --seed=%" PRIu64 "%s",
		base ? base : "bpfsoakd run", seconds, base ? " --" : "", config->seed, arguments);
	if (!base && config->module) {
		fputs(" --module=", out);
		config_quote(out, config->module);
	}
	if (!base)
		fputs(" --report=replay", out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
