// SPDX-License-Identifier: GPL-2.0-only
/* What this thread may do: see caps.h. */
#include "caps.h"

bool caps_has(cap_value_t cap)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t flag = CAP_CLEAR;

	if (!caps)
		return false;
	cap_get_flag(caps, cap, CAP_EFFECTIVE, &flag);
	cap_free(caps);
	return flag == CAP_SET;
}
