/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of findings share: finding_words.c, names and texts (pure); finding_history.c, the
 * file history.txt; finding.c, all else. For these files alone.
 */
#ifndef SOAK_FINDING_PRIVATE_H
#define SOAK_FINDING_PRIVATE_H

#include <stdbool.h>
#include <stdio.h>

#include "finding.h"

bool finding_is_violation(const struct finding *finding);
bool finding_was_visited(const struct soak_visit *visit);

/* One line: what was seen. */
const char *finding_what(const struct finding *finding);
const char *finding_class_text(enum finding_class class);
/* How a reader is told what a kind is worth; FAULT_NR: none is known. */
const char *finding_kind_text(enum fault_kind kind);

/* Reads the failed locks and the object's memory through programs, NULL: not. */
void finding_print_history(FILE *out, const struct programs *programs,
			   const struct finding *finding);

#endif
