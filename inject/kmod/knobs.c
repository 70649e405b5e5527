// SPDX-License-Identifier: GPL-2.0-only
/*
 * The configuration: parsed as a whole, checked as a whole, then published as a whole. NULL is
 * disarmed. Runs under rqf_mutex, in process context.
 */
#include <linux/bitmap.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rqf.h"

DEFINE_MUTEX(rqf_mutex);
struct rqf_config __rcu *rqf_config;
const char *const rqf_site_names[RQF_SITE_NR] = RQF_SITE_NAMES;

static const char *const error_names[] = {
	[RQF_TIMEDOUT] = "timedout",
	[RQF_DEADLK] = "deadlk",
	[RQF_EITHER] = "either",
};

static int parse_set(char *text, unsigned long *ret)
{
	char *name;

	while ((name = strsep(&text, ","))) {
		int site = match_string(rqf_site_names, RQF_SITE_NR, name);

		if (site < 0) {
			pr_warn("no site '%s'\n", name);
			return site;
		}
		__set_bit(site, ret);
	}
	return 0;
}

static int parse_sites(char *text, struct rqf_config *config)
{
	return parse_set(text, &config->sites);
}

static int parse_fail(char *text, struct rqf_config *config)
{
	return parse_set(text, &config->fail);
}

static int parse_kinds(char *text, struct rqf_config *config)
{
	char *name;

	config->contended = config->forced = false;
	while ((name = strsep(&text, ","))) {
		if (!strcmp(name, "contended"))
			config->contended = true;
		else if (!strcmp(name, "forced"))
			config->forced = true;
		else
			return -EINVAL;
	}
	return 0;
}

static int parse_decide(char *text, struct rqf_config *config)
{
	config->decide_self = !strcmp(text, "self");
	if (config->decide_self)
		return 0;
	if (strcmp(text, "fail_function"))
		return -EINVAL;
	if (IS_ENABLED(CONFIG_FAIL_FUNCTION))
		return 0;
	pr_warn("decide=fail_function: CONFIG_FAIL_FUNCTION is off in this kernel\n");
	return -EINVAL;
}

static int parse_error(char *text, struct rqf_config *config)
{
	int error = match_string(error_names, ARRAY_SIZE(error_names), text);

	if (error < 0)
		return error;
	config->error = error;
	return 0;
}

static int parse_probability(char *text, struct rqf_config *config)
{
	int r = kstrtouint(text, 10, &config->probability);

	return r ?: config->probability > 100 ? -ERANGE : 0;
}

static int parse_interval(char *text, struct rqf_config *config)
{
	int r = kstrtouint(text, 10, &config->interval);

	return r ?: !config->interval ? -ERANGE : 0;
}

static int parse_dwell(char *text, struct rqf_config *config)
{
	int r = kstrtouint(text, 10, &config->dwell);

	return r ?: config->dwell > 1000 ? -ERANGE : 0;
}

static int parse_times(char *text, struct rqf_config *config)
{
	s64 times;
	int r = kstrtos64(text, 10, &times);

	if (r || times < -1)
		return r ?: -ERANGE;
	atomic64_set(&config->times, times);
	return 0;
}

static int parse_seed(char *text, struct rqf_config *config)
{
	return kstrtou64(text, 10, &config->seed);
}

static int parse_only(char *text, struct rqf_config *config)
{
	config->only_encounters = true;
	return strcmp(text, "encounters") ? -EINVAL : 0;
}

static int parse_appointments(char *text, struct rqf_config *config)
{
	return kstrtobool(text, &config->appointments);
}

static int parse_verbose(char *text, struct rqf_config *config)
{
	return kstrtobool(text, &config->verbose);
}

static const struct {
	const char *key;
	int (*parse)(char *text, struct rqf_config *config);
} keys[] = {
	{ "fail", parse_fail },
	{ "sites", parse_sites },
	{ "kinds", parse_kinds },
	{ "decide", parse_decide },
	{ "error", parse_error },
	{ "probability", parse_probability },
	{ "interval", parse_interval },
	{ "times", parse_times },
	{ "only", parse_only },
	{ "dwell", parse_dwell },
	{ "seed", parse_seed },
	{ "verbose", parse_verbose },
	{ "appointments", parse_appointments },
};

static int parse_pair(char *pair, struct rqf_config *config)
{
	char *key = strsep(&pair, "=");

	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].key, key))
			continue;
		if (pair && !keys[i].parse(pair, config))
			return 0;
		pr_warn("%s: bad value\n", key);
		return -EINVAL;
	}
	pr_warn("unknown key '%s'\n", key);
	return -EINVAL;
}

static int check(struct rqf_config *config)
{
	if (!config->fail)
		config->fail = config->sites;
	if (config->fail & ~config->sites) {
		pr_warn("fail= names a site that sites= does not\n");
		return -EINVAL;
	}
	return 0;
}

static int parse(char *text, struct rqf_config *config)
{
	char *pair;
	int r;

	while ((pair = strsep(&text, " \t\n"))) {
		if (!*pair)
			continue;
		r = parse_pair(pair, config);
		if (r)
			return r;
	}
	return check(config);
}

static void publish(struct rqf_config *config)
{
	struct rqf_config *old =
		rcu_replace_pointer(rqf_config, config, lockdep_is_held(&rqf_mutex));

	/* Also when there was none: what was seen under the old rules is over when this returns. */
	synchronize_rcu();
	kfree(old);
}

static int place_probes(const struct rqf_config *config)
{
	int r = rqf_probes_check(config->sites, config->forced);

	if (r)
		return r;
	r = rqf_detour_enable();
	if (!r)
		r = rqf_probes_enable(config->sites, config->forced, config->appointments);
	if (!r)
		return 0;
	pr_warn("probes cannot be placed: %d\n", r);
	/* Those that an earlier configuration lives by stay. */
	if (!rcu_access_pointer(rqf_config)) {
		rqf_probes_disable();
		rqf_detour_disable();
	}
	return r;
}

static int arm(struct rqf_config *config)
{
	int r = place_probes(config);

	if (r)
		return r;
	rqf_points_seed(config->seed);
	publish(config);
	return 0;
}

int rqf_configure(char *text)
{
	struct rqf_config *config = kzalloc(sizeof(*config), GFP_KERNEL);
	int r;

	if (!config)
		return -ENOMEM;
	config->contended = true;
	config->decide_self = true;
	config->interval = 1;
	atomic64_set(&config->times, -1);
	r = parse(text, config);
	if (!r && config->sites)
		r = arm(config);
	if (r || !config->sites)
		kfree(config);
	if (!r && !config->sites)
		publish(NULL);
	return r;
}

void rqf_disarm(void)
{
	publish(NULL);
	rqf_probes_disable();
	rqf_detour_disable();
}

static void show_set(struct seq_file *m, const char *key, unsigned long set)
{
	int site;

	seq_puts(m, key);
	for_each_set_bit(site, &set, RQF_SITE_NR) seq_printf(m, " %s", rqf_site_names[site]);
	seq_putc(m, '\n');
}

void rqf_knobs_show(struct seq_file *m)
{
	const struct rqf_config *config =
		rcu_dereference_protected(rqf_config, lockdep_is_held(&rqf_mutex));

	seq_printf(m, "armed %d\n", !!config);
	if (!config)
		return;
	seq_printf(m, "kinds %s%s\n", config->contended ? "contended " : "",
		   config->forced ? "forced" : "");
	seq_printf(m, "decide %s\n", config->decide_self ? "self" : "fail_function");
	seq_printf(m, "error %s\n", error_names[config->error]);
	seq_printf(m, "probability %u\n", config->probability);
	seq_printf(m, "interval %u\n", config->interval);
	seq_printf(m, "times %lld\n", atomic64_read(&config->times));
	show_set(m, "sites", config->sites);
	show_set(m, "fail", config->fail);
}
