/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a run left in its report directory, read back: report.json, checked before anybody relies
 * on it, and the findings. For those who render it. Owned by the caller; no thread but main().
 */
#ifndef SOAK_RESULT_H
#define SOAK_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/soak_abi.h"

struct json_object;

struct result_finding {
	char *signature;
	char *class;	 /* NULL: not in the index, such as that of a guest that died */
	uint64_t count;	 /* the same */
	char *directory; /* NULL: counted only */
	char *summary;	 /* texts of its files; NULL: there is none, or it cannot be read */
	char *history;
	char *replay;
};

struct result {
	struct json_object *root;
	struct result_finding *findings;
	size_t n_findings;
	uint64_t beyond; /* findings that the index had no room for */
};

/*
 * Reads DIR. Returns 0, or a negative error after saying what is wrong with which file, line and
 * key. Findings that cannot be read are left out, with a warning.
 */
int result_read(const char *dir, struct result **ret);
void result_free(struct result *result);

static inline void result_freep(struct result **result)
{
	result_free(*result);
}

/* By path, such as "longest_s.visit"; absent: NULL, 0, 0, "". */
struct json_object *result_get(const struct result *result, const char *path);
uint64_t result_number(const struct result *result, const char *path);
double result_real(const struct result *result, const char *path);
const char *result_text(const struct result *result, const char *path);

/* Below an object; also absent: NULL, 0, "". */
struct json_object *json_at(struct json_object *object, const char *key);
uint64_t json_number_at(struct json_object *object, const char *key);
const char *json_text_at(struct json_object *object, const char *key);

/* The sum of all numbers below, at any depth. */
uint64_t json_total(struct json_object *object);

/* Whether a list of words has this one. */
bool json_has_word(struct json_object *array, const char *word);

/* Whether the run was asked to make locks fail, and whether locks failed by force. */
bool result_injects(const struct result *result);
bool result_was_forced(const struct result *result);

/* Timeouts and deadlocks of a kind together. */
uint64_t result_failures(const struct result *result, const char *kind);

/* One outcome of visits with the same results, whatever the kind of failure. */
struct result_cell {
	uint64_t visits;
	bool missing;	    /* none, though this run could come there */
	const char *reason; /* why the algorithm does not; NULL: it may */
};

struct result_matrix {
	struct result_cell cells[SOAK_SIDE_NR][SOAK_LOCK_NR][SOAK_LOCK_NR][SOAK_OUTCOME_NR];
};

void result_matrix(const struct result *result, struct result_matrix *ret);

/* Visits with a result that could not be seen. */
uint64_t result_in_doubt(const struct result_matrix *matrix, unsigned int side);

#endif
