// SPDX-License-Identifier: GPL-2.0-only
/* Durations and sizes, held against a second parser that is slower and simpler. */
#include <ctype.h>
#include <errno.h>

#include "daemon/config.h"
#include "fuzz.h"

typedef unsigned __int128 wide;

#define WIDE_MAX ((wide)UINT64_MAX)

static wide take(const char **text)
{
	wide value = 0;

	for (; isdigit((unsigned char)**text); ++*text)
		value = MIN(value * 10 + (wide)(**text - '0'), WIDE_MAX + 1);
	return value;
}

static bool ends_unit(char c)
{
	return !c || isdigit((unsigned char)c);
}

/* The unit at text, which is moved past it; 0: none. */
static uint64_t take_unit(const char **text)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{ "ms", 1000000 },	 { "us", 1000 },	 { "ns", 1 },
		{ "d", 86400000000000 }, { "h", 3600000000000 }, { "m", 60000000000 },
		{ "s", 1000000000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(*text, units[i].name, len) || !ends_unit((*text)[len]))
			continue;
		*text += len;
		return units[i].ns;
	}
	return 0;
}

static bool slow_duration(const char *text, uint64_t *ret)
{
	uint64_t before = UINT64_MAX;
	wide total = 0;

	if (*text && strspn(text, "0123456789") == strlen(text)) {
		total = take(&text) * 1000000000;
		*ret = (uint64_t)total;
		return total <= WIDE_MAX;
	}
	while (*text) {
		wide value;
		uint64_t unit;

		if (!isdigit((unsigned char)*text))
			return false;
		value = take(&text);
		unit = take_unit(&text);
		if (!unit || unit >= before)
			return false;
		before = unit;
		total += value * unit;
		if (total > WIDE_MAX)
			return false;
	}
	*ret = (uint64_t)total;
	return before != UINT64_MAX;
}

static bool slow_size(const char *text, uint64_t *ret)
{
	static const char letters[] = "kmgtpe";
	const char *letter;
	wide value;

	if (!isdigit((unsigned char)*text))
		return false;
	value = take(&text);
	letter = *text ? strchr(letters, tolower((unsigned char)*text)) : NULL;
	if (letter) {
		value <<= 10 * (letter - letters + 1);
		text++;
		if (tolower((unsigned char)text[0]) == 'i' &&
		    tolower((unsigned char)text[1]) == 'b')
			text++;
	}
	if (tolower((unsigned char)*text) == 'b')
		text++;
	*ret = (uint64_t)value;
	return !*text && value <= WIDE_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = fuzz_string(data, size);
	uint64_t fast = 1, slow = 1;
	int r;

	r = parse_duration(text, &fast);
	CHECK(r == (slow_duration(text, &slow) ? 0 : -EINVAL));
	CHECK(r < 0 ? fast == 1 : fast == slow);
	fast = slow = 1;
	r = parse_size(text, &fast);
	CHECK(r == (slow_size(text, &slow) ? 0 : -EINVAL));
	CHECK(r < 0 ? fast == 1 : fast == slow);
	return 0;
}
