/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Prometheus text format, read: the stats file of a run as somebody else finds it, perhaps
 * copied from another machine, perhaps cut short. Trusts nothing in it. No state; callable from
 * any thread.
 */
#ifndef SOAK_PROMFILE_H
#define SOAK_PROMFILE_H

#include <stdbool.h>
#include <stddef.h>

#define PROM_BYTES_MAX	 (8u << 20)
#define PROM_SAMPLES_MAX 65536
#define PROM_LABELS_MAX	 16 /* of one sample */

struct prom_label {
	const char *name;
	const char *value; /* as it was before it was escaped */
};

struct prom_sample {
	const char *name;
	double value;
	unsigned int line;
	unsigned int n_labels;
	size_t first_label; /* in promfile.labels */
};

struct promfile {
	char *text; /* what names and values point into */
	struct prom_sample *samples;
	size_t n_samples;
	struct prom_label *labels;
	size_t n_labels;
};

/* Where and what is wrong; line 0: the file as a whole. */
struct prom_error {
	unsigned int line;
	char what[120];
};

/*
 * Parses len bytes of text. Returns 0, -EINVAL and why in error, or -ENOMEM. The caller frees what
 * it gets with promfile_free().
 */
int promfile_parse(const char *text, size_t len, struct promfile **ret, struct prom_error *error);

/* The same of a file; also -errno when it cannot be read, with error saying so. */
int promfile_read(const char *path, struct promfile **ret, struct prom_error *error);

void promfile_free(struct promfile *file);

static inline void promfile_freep(struct promfile **file)
{
	promfile_free(*file);
}

/* "" when the sample has no such label. */
const char *prom_label(const struct promfile *file, const struct prom_sample *sample,
		       const char *name);

/* The next sample of that name after the given one; NULL: the first. NULL when there is none. */
const struct prom_sample *promfile_next(const struct promfile *file, const char *name,
					const struct prom_sample *after);

/*
 * The sum of all samples of that name whose labels have the given values: pairs of name and value,
 * NULL at the end. 0 when there are none.
 */
double promfile_sum(const struct promfile *file, const char *name, ...) __attribute__((sentinel));

#endif
