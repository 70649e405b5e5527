// SPDX-License-Identifier: GPL-2.0-only
/* The names of the scenarios, and mixes of them: see mix.h. */
#include "mix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util.h"

#define ROW(name_, id, weight_) { name_, weight_ },

static const struct {
	const char *name;
	unsigned int weight;
} rows[] = { SCENARIOS(ROW) };

unsigned int scenarios_count(void)
{
	return ARRAY_SIZE(rows);
}

const char *scenario_name(unsigned int i)
{
	return i < ARRAY_SIZE(rows) ? rows[i].name : "unknown";
}

unsigned int scenario_weight(unsigned int i)
{
	return i < ARRAY_SIZE(rows) ? rows[i].weight : 0;
}

static int find_scenario(const char *name, size_t len)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		if (strlen(rows[i].name) == len && !strncmp(rows[i].name, name, len))
			return (int)i;
	return -ENOENT;
}

/* Frees with the caller; NULL when out of memory, which is said of nothing else either. */
static char *unknown_name(const char *name, size_t len)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "'%.*s' is no scenario; valid: *", (int)len, name);
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		fprintf(out, ", %s", rows[i].name);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* One "name=weight", moves *text past it. */
static int parse_entry(const char **text, struct mix *mix, char **ret_why)
{
	size_t len = strcspn(*text, "=,");
	const char *name = *text, *number = name + len;
	unsigned long weight;
	bool all = len == 1 && *name == '*';
	int found = find_scenario(name, len);
	char *end = NULL;

	if (!all && found < 0) {
		*ret_why = unknown_name(name, len);
		return -EINVAL;
	}
	weight = *number == '=' && number[1] >= '0' && number[1] <= '9'
			 ? strtoul(number + 1, &end, 10)
			 : MIX_WEIGHT_MAX + 1ul;
	if (weight > MIX_WEIGHT_MAX || (*end && *end != ',')) {
		*ret_why = format("'%.*s' has no weight; valid: %.*s=0 to %.*s=%u", (int)len, name,
				  (int)len, name, (int)len, name, MIX_WEIGHT_MAX);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!all && i != (unsigned int)found)
			continue;
		mix->weight[i] = (unsigned int)weight;
		mix->named[i] = !all && weight;
	}
	*text = end;
	return 0;
}

void mix_add_up(struct mix *mix)
{
	mix->total = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		mix->total += mix->weight[i];
}

int mix_parse(const char *text, struct mix *ret, char **ret_why)
{
	*ret_why = NULL;
	memset(ret, 0, sizeof(*ret));
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++)
		ret->weight[i] = rows[i].weight;
	while (text) {
		int r = parse_entry(&text, ret, ret_why);

		if (r)
			return r;
		if (!*text++)
			break;
	}
	mix_add_up(ret);
	if (ret->total)
		return 0;
	*ret_why = format("every weight is 0: nothing would be done");
	return -EINVAL;
}

unsigned int mix_draw(const struct mix *mix, struct rng *rng)
{
	unsigned int at = rng_below(rng, mix->total), i = 0;

	while (i + 1 < ARRAY_SIZE(rows) && at >= mix->weight[i])
		at -= mix->weight[i++];
	return i;
}
