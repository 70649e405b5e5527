// SPDX-License-Identifier: GPL-2.0-only
/* The table of injection backends, the choice among them, and a set of them: see inject.h. */
#include "inject.h"

#include <errno.h>
#include <string.h>

#include "daemon/probe.h"
#include "daemon/snapshot.h"
#include "daemon/util.h"

/* Best first. */
static const struct inject_ops *const backends[INJECT_BACKENDS] = {
	&inject_fail_function,
	&inject_module,
	&inject_stall,
	&inject_none,
};

const struct inject_ops *inject_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	return NULL;
}

static void add(struct inject_set *set, const struct inject_ops *ops)
{
	set->ops[set->n++] = ops;
}

/* Waiters of locks that are really held, and holders that really hold: the two go together. */
static int add_best(struct inject_set *set, const struct probe *probe, const char **ret_why)
{
	const char *no_fail_function = inject_fail_function.probe(probe);
	const char *no_module = inject_module.probe(probe);
	const char *no_stall = inject_stall.probe(probe);
	size_t before = set->n;

	if (!no_fail_function)
		add(set, &inject_fail_function);
	else if (!no_module)
		add(set, &inject_module);
	if (!no_stall)
		add(set, &inject_stall);
	*ret_why = !no_fail_function ? NULL : !no_module ? no_fail_function : no_module;
	if (set->n > before)
		return 0;
	*ret_why = no_stall;
	return -ENOTSUP;
}

int inject_set_add(struct inject_set *set, const char *name, const struct probe *probe,
		   const char **ret_why)
{
	const struct inject_ops *ops;

	*ret_why = NULL;
	if (!strcmp(name, "auto"))
		return add_best(set, probe, ret_why);
	ops = inject_find(name);
	if (!ops || set->n == INJECT_BACKENDS) {
		*ret_why = "valid: auto, fail_function, module, stall, none";
		return -EINVAL;
	}
	*ret_why = ops->probe(probe);
	if (*ret_why)
		return -ENOTSUP;
	add(set, ops);
	return 0;
}

bool inject_set_injects(const struct inject_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->ops[i]->injects)
			return true;
	return false;
}

bool inject_set_uses_module(const struct inject_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->ops[i]->uses_module)
			return true;
	return false;
}

void inject_set_names(const struct inject_set *set, char *buf, size_t size)
{
	size_t used = 0;

	*buf = 0;
	for (size_t i = 0; i < set->n && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? "," : "",
					 set->ops[i]->name);
}

int inject_set_prepare(struct inject_set *set, const struct inject_options *options)
{
	for (; set->prepared < set->n; set->prepared++) {
		int r = set->ops[set->prepared]->prepare(options, &set->backends[set->prepared]);

		if (r < 0)
			return r;
	}
	return 0;
}

int inject_set_arm(struct inject_set *set)
{
	for (; set->armed < set->prepared; set->armed++) {
		int r = set->ops[set->armed]->arm(set->backends[set->armed]);

		if (r < 0)
			return r;
	}
	return 0;
}

void inject_set_disarm(struct inject_set *set)
{
	for (size_t i = set->armed; i--;)
		set->ops[i]->disarm(set->backends[i]);
	set->armed = 0;
}

void inject_set_free(struct inject_set *set)
{
	inject_set_disarm(set);
	while (set->prepared) {
		set->prepared--;
		set->ops[set->prepared]->free(TAKE_PTR(set->backends[set->prepared]));
	}
}

void inject_set_read(const struct inject_set *set, struct snapshot *ret)
{
	for (size_t i = 0; i < set->prepared; i++)
		set->ops[i]->read(set->backends[i], ret);
}
