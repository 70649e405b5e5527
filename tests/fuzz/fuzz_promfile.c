// SPDX-License-Identifier: GPL-2.0-only
/* The stats file as `top` finds it, perhaps somebody else's, and the frame that is made of it. */
#include "daemon/promfile.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "daemon/top_frame.h"
#include "fuzz.h"

static void write_escaped(FILE *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', out);
		if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
}

/* As the daemon would write it. */
static char *write_again(const struct promfile *file)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	CHECK(out);
	for (size_t i = 0; i < file->n_samples; i++) {
		const struct prom_sample *sample = &file->samples[i];

		fputs(sample->name, out);
		for (unsigned int l = 0; l < sample->n_labels; l++) {
			const struct prom_label *label = &file->labels[sample->first_label + l];

			fprintf(out, "%c%s=\"", l ? ',' : '{', label->name);
			write_escaped(out, label->value);
			fputc('"', out);
		}
		if (sample->n_labels)
			fputc('}', out);
		if (isfinite(sample->value))
			fprintf(out, " %.17g\n", sample->value);
		else
			fprintf(out, " %s\n",
				isnan(sample->value) ? "NaN"
				: sample->value > 0  ? "+Inf"
						     : "-Inf");
	}
	CHECK(!fclose(out));
	return text;
}

static bool is_same_value(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

static void compare(const struct promfile *a, const struct promfile *b)
{
	CHECK(a->n_samples == b->n_samples && a->n_labels == b->n_labels);
	for (size_t i = 0; i < a->n_samples; i++) {
		CHECK(!strcmp(a->samples[i].name, b->samples[i].name));
		CHECK(is_same_value(a->samples[i].value, b->samples[i].value));
		CHECK(a->samples[i].n_labels == b->samples[i].n_labels);
	}
	for (size_t i = 0; i < a->n_labels; i++) {
		CHECK(!strcmp(a->labels[i].name, b->labels[i].name));
		CHECK(!strcmp(a->labels[i].value, b->labels[i].value));
	}
}

static void show(const struct promfile *now, const struct promfile *before)
{
	struct top_view view = { .width = 80, .height = 24, .now = 1e9, .stale_s = 60 };
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	CHECK(out);
	top_frame(out, now, NULL, &view);
	if (top_is_ours(now) && top_is_same_run(now, before))
		top_frame(out, now, before, &view);
	CHECK(!fclose(out));
	/* Nothing of a stranger's file may steer the terminal. */
	for (size_t i = 0; i < size; i++)
		CHECK(text[i] == '\n' || (unsigned char)text[i] >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(promfile_freep) struct promfile *file = NULL, *again = NULL;
	_cleanup_free_ char *text = NULL;
	struct prom_error error;
	int r = promfile_parse((const char *)data, size, &file, &error);

	CHECK(!r || r == -EINVAL);
	if (r) {
		CHECK(*error.what && !file);
		return 0;
	}
	text = write_again(file);
	CHECK(!promfile_parse(text, strlen(text), &again, &error));
	compare(file, again);
	show(file, again);
	return 0;
}
