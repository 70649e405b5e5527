/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a run tells a service manager, and when: that it is ready, a line on what is going on, that
 * it is alive. The run loop owns it and calls it; what is sent goes through notify.h.
 */
#ifndef SOAK_SERVICE_H
#define SOAK_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot.h"

struct service {
	uint64_t watchdog_ns; /* 0: there is none */
	uint64_t fed_ns, told_ns;
	bool is_ready;
	struct snapshot before; /* at the last line, for rates */
};

/*
 * 0, or -EINVAL after saying that the watchdog would fire before what is stuck is a finding.
 * stuck_ns is that of --stuck.
 */
int service_init(struct service *service, uint64_t stuck_ns);
int service_check_stuck(const struct service *service, uint64_t stuck_ns);

/* Before the run is ready; the manager waits for that, and is asked to wait so much longer. */
void service_starting(const char *status, uint64_t ns);
/* Every tick: ready when it churns, a line now and then, a sign of life when there is life. */
void service_tick(struct service *service, const struct snapshot *now, uint64_t stuck_ns);
void service_reloading(void);
void service_reloaded(void);
/* From here on the manager's time-out for stopping runs; asking for more time extends it. */
void service_stopping(const char *status);
void service_hold(const char *status, uint64_t ns);
void service_status(const char *status);

/*
 * Parts of the above, for tests. ------------------------------------------------------------
 */

/* True when no worker has been without progress for so long, or when all are kept as they are. */
bool service_has_progress(const struct snapshot *now, uint64_t stuck_ns);

/* Without a newline. before may be empty (elapsed_ns 0): rates since the start. */
void service_line(char *buf, size_t size, const struct snapshot *now,
		  const struct snapshot *before);

#endif
