// SPDX-License-Identifier: GPL-2.0-only
/* Parse, then do what was asked for. Exit codes: bpfsoakd(8). */
#include <stdio.h>
#include <stdlib.h>

#include "build_config.h"
#include "config.h"
#include "inject/undo.h"
#include "log.h"
#include "probe.h"
#include "render.h"
#include "scenarios/scenario.h"
#include "soak.h"
#include "top.h"

#define EXIT_USAGE    2
#define EXIT_INTERNAL 4

static int check(const struct config *config)
{
	struct probe probe = { 0 };
	int r;

	if (probe_run(config->module, &probe) < 0)
		return EXIT_INTERNAL;
	if (config->json) {
		r = probe_print_json(&probe, stdout) < 0 ? EXIT_INTERNAL : 0;
	} else {
		probe_print(&probe, stdout);
		r = 0;
	}
	if (!r)
		r = probe_exit_code(&probe);
	probe_free(&probe);
	return r;
}

static int dispatch(struct config *config)
{
	switch (config->command) {
	case COMMAND_RUN:
		return soak_run(config);
	case COMMAND_CHECK:
		return check(config);
	case COMMAND_SCENARIOS:
		scenarios_print(stdout);
		return 0;
	case COMMAND_RESTORE:
		return undo_main();
	case COMMAND_REPORT:
		return render_run(config);
	case COMMAND_TOP:
		return top_run(config);
	case COMMAND_VERSION:
		printf("bpfsoakd %s\n", SOAK_VERSION);
		return 0;
	case COMMAND_DUMP_OPTIONS:
		config_dump_options(stdout);
		return 0;
	case COMMAND_DUMP_KEYS:
		config_dump_keys(stdout);
		return 0;
	case COMMAND_DUMP_CONFIG:
		config_dump_file(stdout);
		return 0;
	default:
		config_help(stdout);
		return 0;
	}
}

int main(int argc, char **argv)
{
	struct config config = { 0 };
	int r;

	log_init(LOG_INFO);
	r = config_parse(argc, argv, &config);
	if (r < 0) {
		config_free(&config);
		return EXIT_USAGE;
	}
	if (config.verbose)
		log_init(LOG_DEBUG);
	r = dispatch(&config);
	config_free(&config);
	return r;
}
