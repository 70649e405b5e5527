// SPDX-License-Identifier: GPL-2.0-only
/* The table of scenarios: see scenario.h. */
#include <errno.h>
#include <string.h>

#include "../util.h"
#include "scenario.h"

#define ENTRY(name_, id, weight_) &scenario_##id,

static const struct scenario *const scenarios[] = { SCENARIOS(ENTRY) };

_Static_assert(ARRAY_SIZE(scenarios) <= SNAPSHOT_SCENARIOS, "each has a row in the snapshot");

const struct scenario *scenario_at(unsigned int i)
{
	return i < ARRAY_SIZE(scenarios) ? scenarios[i] : NULL;
}

int mix_settle(struct mix *mix, const char **ret_name, const char **ret_why)
{
	*ret_name = *ret_why = NULL;
	for (unsigned int i = 0; i < ARRAY_SIZE(scenarios); i++) {
		const char *why =
			mix->weight[i] && scenarios[i]->lacks ? scenarios[i]->lacks() : NULL;

		if (!why)
			continue;
		*ret_name = scenario_name(i);
		*ret_why = why;
		if (mix->named[i])
			return -EOPNOTSUPP;
		mix->weight[i] = 0;
	}
	mix_add_up(mix);
	return mix->total ? 0 : -EOPNOTSUPP;
}

void scenarios_print(FILE *out)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(scenarios); i++) {
		const struct scenario *s = scenarios[i];
		const char *why = s->lacks ? s->lacks() : NULL;

		fprintf(out, "%-18s %3u  %s\n", scenario_name(i), scenario_weight(i), s->what);
		if (why)
			fprintf(out, "%-18s      not here: %s\n", "", why);
	}
}
