// SPDX-License-Identifier: GPL-2.0-only
/* The table of injection backends and the choice among them: see inject.h. */
#include "inject.h"

#include <string.h>

#include "daemon/probe.h"
#include "daemon/util.h"

/* Best first: "auto" takes the first that is usable. */
static const struct inject_ops *const backends[] = { &inject_stall, &inject_none };

const struct inject_ops *inject_choose(const char *name, const struct probe *probe,
				       const char **ret_why)
{
	if (!strcmp(name, "auto")) {
		*ret_why = inject_stall.probe(probe);
		return *ret_why ? NULL : &inject_stall;
	}
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		if (strcmp(backends[i]->name, name))
			continue;
		*ret_why = backends[i]->probe(probe);
		return backends[i];
	}
	*ret_why = "valid: auto, stall, none";
	return NULL;
}
