// SPDX-License-Identifier: GPL-2.0-only
/* What a run tells a service manager: see service.h. */
#include "service.h"

#include <errno.h>
#include <inttypes.h>

#include "log.h"
#include "notify.h"
#include "report.h"
#include "util.h"

#define LINE_NS (5 * NSEC_PER_SEC)

/* Liveness is looked at every 10 s, and its finding takes a moment to be written. */
#define MARGIN_NS (20 * NSEC_PER_SEC)

int service_check_stuck(const struct service *service, uint64_t stuck_ns)
{
	if (!service->watchdog_ns || stuck_ns + MARGIN_NS <= service->watchdog_ns)
		return 0;
	log_error("--stuck: %" PRIu64 " s is too long for a watchdog of %" PRIu64
		  " s (WatchdogSec=): it would kill the daemon before a stuck kernel is a finding; "
		  "the watchdog must be longer by %" PRIu64 " s at least",
		  (uint64_t)(stuck_ns / NSEC_PER_SEC),
		  (uint64_t)(service->watchdog_ns / NSEC_PER_SEC),
		  (uint64_t)(MARGIN_NS / NSEC_PER_SEC));
	return -EINVAL;
}

int service_init(struct service *service, uint64_t stuck_ns)
{
	service->watchdog_ns = notify_watchdog_ns();
	if (!notify_is_heard() && getenv("NOTIFY_SOCKET"))
		log_warning("this build has no libsystemd: the service manager that waits for a "
			    "notification gets none (Type=notify needs it)");
	return service_check_stuck(service, stuck_ns);
}

void service_status(const char *status)
{
	notify_send("STATUS=%s", status);
}

void service_hold(const char *status, uint64_t ns)
{
	notify_send("STATUS=%s\nEXTEND_TIMEOUT_USEC=%" PRIu64, status,
		    (uint64_t)(ns / NSEC_PER_USEC));
}

void service_starting(const char *status, uint64_t ns)
{
	service_hold(status, ns);
}

void service_reloading(void)
{
	notify_send("RELOADING=1");
}

void service_reloaded(void)
{
	notify_send("READY=1");
}

void service_stopping(const char *status)
{
	notify_send("STOPPING=1\nSTATUS=%s", status);
}

bool service_has_progress(const struct snapshot *now, uint64_t stuck_ns)
{
	/* Kept for a debugger, perhaps because of who is stuck. */
	if (now->state == RUN_FROZEN)
		return true;
	for (unsigned int i = 0; i < now->n_workers; i++)
		if (now->workers[i].idle_ns > stuck_ns)
			return false;
	return true;
}

void service_line(char *buf, size_t size, const struct snapshot *now, const struct snapshot *before)
{
	char progress[256];

	report_progress(progress, sizeof(progress), now, before->elapsed_ns ? before : NULL);
	snprintf(buf, size, "%s%s: %s  holes %" PRIu64 "  leaked %.1f of %.1f MiB",
		 run_state_name(now->state),
		 now->state == RUN_PAUSED ? " (outside of its windows)" : "", progress,
		 snapshot_holes(now), (double)now->leaked_bytes / (1 << 20),
		 (double)now->leak_budget / (1 << 20));
}

static void tell(struct service *service, const struct snapshot *now)
{
	char line[512];

	if (service->is_ready && now_ns() < service->told_ns + LINE_NS)
		return;
	service->told_ns = now_ns();
	service_line(line, sizeof(line), now, &service->before);
	notify_send("%sSTATUS=%s", service->is_ready ? "" : "READY=1\n", line);
	service->is_ready = true;
	service->before = *now;
}

void service_tick(struct service *service, const struct snapshot *now, uint64_t stuck_ns)
{
	/* Ready is who works, or waits for its time: not who only has workers. */
	if (!service->is_ready && now->state != RUN_PAUSED && !snapshot_owners(now))
		return;
	tell(service, now);
	if (!service->watchdog_ns || !service_has_progress(now, stuck_ns) ||
	    now_ns() < service->fed_ns + service->watchdog_ns / 8)
		return;
	service->fed_ns = now_ns();
	notify_send("WATCHDOG=1");
}
