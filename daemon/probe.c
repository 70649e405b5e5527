// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs all questions in order and keeps the answers: see probe.h. What is asked stands in
 * probe_system.c (files), probe_ask.c (bpf) and probe_module.c; what follows from it in
 * probe_mode.c.
 */
#include "probe.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>

#include "probe_bpf.h"
#include "prober.h"

#define EXIT_UNSUPPORTED 77

static const char *const extra_symbols[PROBER_SYMBOLS - PROBE_FUNCTION_NR] = {
	"resilient_queued_spin_lock_slowpath",
	"resilient_tas_spin_lock",
	"__pv_queued_spin_lock_slowpath",
	"kasan_report",
	"kmemleak_alloc",
};

void prober_add_plain(struct prober *p, const char *name, enum probe_answer answer)
{
	struct probe *probe = p->probe;

	if (p->error)
		return;
	if (probe->n_items == p->capacity) {
		size_t capacity = p->capacity ? p->capacity * 2 : 64;
		struct probe_item *bigger;

		bigger = reallocarray(probe->items, capacity, sizeof(*bigger));
		if (!bigger) {
			p->error = -ENOMEM;
			return;
		}
		probe->items = bigger;
		p->capacity = capacity;
	}
	probe->items[probe->n_items++] = (struct probe_item){
		.group = p->group,
		.name = name,
		.answer = answer,
	};
}

void prober_add(struct prober *p, const char *name, enum probe_answer answer, const char *fmt, ...)
{
	struct probe_item *item;
	va_list ap;

	prober_add_plain(p, name, answer);
	if (p->error)
		return;
	item = &p->probe->items[p->probe->n_items - 1];
	va_start(ap, fmt);
	item->detail = vformat(fmt, ap);
	va_end(ap);
	if (!item->detail)
		p->error = -ENOMEM;
}

enum probe_answer prober_option(const struct prober *p, const char *name)
{
	return p->kconfig ? prober_answer(kconfig_enabled(p->kconfig, name)) : PROBE_UNKNOWN;
}

void prober_add_option(struct prober *p, const char *name)
{
	enum probe_answer answer = prober_option(p, name);

	if (answer == PROBE_UNKNOWN)
		prober_add(p, name, answer, "no kernel configuration to read");
	else
		prober_add_plain(p, name, answer);
}

enum probe_answer prober_listed(const struct prober *p, const char *name)
{
	const struct symbol *symbol = symbols_find(p->symbols, PROBER_SYMBOLS, name);

	if (p->kallsyms_error || !symbol)
		return PROBE_UNKNOWN;
	return prober_answer(symbol->listed);
}

static void scan_symbols(struct prober *p)
{
	for (size_t i = 0; i < PROBER_SYMBOLS; i++)
		p->symbols[i].name = i < PROBE_FUNCTION_NR ? probe_functions[i].name
							   : extra_symbols[i - PROBE_FUNCTION_NR];
	p->kallsyms_error = symbols_scan_kallsyms("/proc/kallsyms", p->symbols, PROBER_SYMBOLS);
	/* Not through debugfs: looking there makes the kernel mount it and log a notice. */
	p->traceable_error = symbols_scan_traceable(
		"/sys/kernel/tracing/available_filter_functions", p->symbols, PROBER_SYMBOLS);
}

static void ask(struct prober *p)
{
	prober_kernel(p);
	prober_cpu(p);
	prober_capabilities(p);
	prober_bpf(p);
	prober_functions(p);
	prober_system(p);
	prober_module(p);
}

static void prober_done(struct prober *p)
{
	free(p->facts.module_why);
	kconfig_free(p->kconfig);
	probe_btf_free(p->btf);
	probe_free(p->probe);
}

int probe_run(const char *module, struct probe *ret)
{
	struct probe probe = { 0 };
	_cleanup_(prober_done) struct prober p = { .probe = &probe,
						   .module = module,
						   .lsm = PROBE_UNKNOWN };
	struct utsname uts;
	int r;

	uname(&uts);
	snprintf(probe.release, sizeof(probe.release), "%s", uts.release);
	/* Both may be missing: then the items say so. */
	if (kconfig_load("", probe.release, &p.kconfig) < 0)
		p.kconfig = NULL;
	if (probe_btf_load(&p.btf) < 0)
		p.btf = NULL;
	p.facts.btf = prober_answer(p.btf);
	scan_symbols(&p);

	ask(&p);
	probe_bpf_settle();
	r = p.error ?: probe_decide(&p.facts, &probe);
	if (r < 0)
		return r;
	*ret = probe;
	probe = (struct probe){ 0 };
	return 0;
}

void probe_free(struct probe *probe)
{
	for (size_t i = 0; i < probe->n_items; i++)
		free(probe->items[i].detail);
	free(probe->items);
	for (size_t i = 0; i < SOAK_KIND_NR; i++)
		free(probe->no_kind[i]);
	for (size_t i = 0; i < probe->n_modes; i++)
		free(probe->modes[i].missing);
	*probe = (struct probe){ 0 };
}

int probe_exit_code(const struct probe *probe)
{
	for (size_t i = 0; i < probe->n_modes; i++) {
		if (probe->modes[i].injecting && probe->modes[i].usable)
			return EXIT_SUCCESS;
	}
	return EXIT_UNSUPPORTED;
}

const struct probe_mode *probe_mode(const struct probe *probe, const char *name)
{
	for (size_t i = 0; i < probe->n_modes; i++) {
		if (!strcmp(probe->modes[i].name, name))
			return &probe->modes[i];
	}
	return NULL;
}
