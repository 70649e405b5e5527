// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Prometheus text format: see promfile.h. One pass over a copy of the text, in which names and
 * values are ended by NUL bytes where they stand; what is unescaped only gets shorter.
 */
#include "promfile.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util.h"

struct parser {
	struct promfile *file;
	struct prom_error *error;
	size_t samples_room, labels_room;
	unsigned int line;
};

static _printf_(2, 3) int fail(struct parser *p, const char *fmt, ...)
{
	va_list ap;

	p->error->line = p->line;
	va_start(ap, fmt);
	vsnprintf(p->error->what, sizeof(p->error->what), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Room for one more in an array that grows by doubling. */
static int grow(void **array, size_t *room, size_t n, size_t size)
{
	size_t more = *room ? *room * 2 : 256;
	void *bigger;

	if (n < *room)
		return 0;
	bigger = reallocarray(*array, more, size);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*room = more;
	return 0;
}

static char *skip_blanks(char *s)
{
	return s + strspn(s, " \t");
}

/* Metric names may have colons, labels not. */
static size_t name_length(const char *s, bool colons)
{
	size_t len = 0;

	while (isalpha((unsigned char)s[len]) || s[len] == '_' || (colons && s[len] == ':') ||
	       (len && isdigit((unsigned char)s[len])))
		len++;
	return len;
}

/* From behind the opening quote on; returns what is behind the closing one, or NULL. */
static char *unescape(char *s)
{
	char *to = s;

	for (; *s && *s != '"'; s++) {
		if (*s != '\\') {
			*to++ = *s;
			continue;
		}
		s++;
		if (!*s)
			return NULL;
		*to++ = *s == 'n' ? '\n' : *s;
	}
	if (!*s)
		return NULL;
	*to = '\0';
	return s + 1;
}

static int add_label(struct parser *p, struct prom_sample *sample, const char *name,
		     const char *value)
{
	struct promfile *file = p->file;
	int r;

	if (sample->n_labels == PROM_LABELS_MAX)
		return fail(p, "more than %d labels", PROM_LABELS_MAX);
	for (unsigned int i = 0; i < sample->n_labels; i++) {
		if (!strcmp(file->labels[sample->first_label + i].name, name))
			return fail(p, "the label %.40s stands there twice", name);
	}
	r = grow((void **)&file->labels, &p->labels_room, file->n_labels, sizeof(*file->labels));
	if (r < 0)
		return r;
	file->labels[file->n_labels++] = (struct prom_label){ .name = name, .value = value };
	sample->n_labels++;
	return 0;
}

/* name="value", and moves *text behind it. */
static int parse_label(struct parser *p, struct prom_sample *sample, char **text)
{
	char *name = *text, *s = name + name_length(name, false), *name_end = s, *value;

	if (s == name)
		return fail(p, "no label name after '{' or ','");
	s = skip_blanks(s);
	if (*s != '=')
		return fail(p, "no '=' after a label name");
	s = skip_blanks(s + 1);
	if (*s != '"')
		return fail(p, "a label value does not begin with '\"'");
	*name_end = '\0';
	value = s + 1;
	s = unescape(value);
	if (!s)
		return fail(p, "a label value does not end");
	*text = skip_blanks(s);
	return add_label(p, sample, name, value);
}

/* From behind '{' on, to behind '}'. A comma may stand before that. */
static int parse_labels(struct parser *p, struct prom_sample *sample, char **text)
{
	char *s = skip_blanks(*text);
	int r;

	while (*s != '}') {
		r = parse_label(p, sample, &s);
		if (r < 0)
			return r;
		if (*s != ',' && *s != '}')
			return fail(p, "neither ',' nor '}' after a label");
		if (*s == ',')
			s = skip_blanks(s + 1);
	}
	*text = s + 1;
	return 0;
}

/* What strtod() takes and Prometheus does not write: hexadecimal, "infinity", "nan(...)". */
static bool is_number(const char *s, size_t len)
{
	static const char *const words[] = { "NaN", "Inf", "+Inf", "-Inf" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strlen(words[i]) == len && !strncmp(words[i], s, len))
			return true;
	}
	return len && strspn(s, "0123456789+-.eE") >= len;
}

static int parse_value(struct parser *p, struct prom_sample *sample, char *text)
{
	char *s = skip_blanks(text), *end;
	size_t len = strcspn(s, " \t");

	if (s == text && *s)
		return fail(p, "no blank before the value");
	if (!is_number(s, len))
		return fail(p, "'%.*s' is not a number", (int)MIN(len, (size_t)40), s);
	sample->value = strtod(s, &end);
	if (end != s + len)
		return fail(p, "'%.*s' is not a number", (int)MIN(len, (size_t)40), s);
	/* A time stamp may follow. */
	s = skip_blanks(end);
	if (*s == '-')
		s++;
	s += strspn(s, "0123456789");
	if (*skip_blanks(s))
		return fail(p, "something follows the value");
	return 0;
}

static int parse_sample(struct parser *p, char *s)
{
	struct promfile *file = p->file;
	struct prom_sample sample = { .name = s, .line = p->line, .first_label = file->n_labels };
	size_t len = name_length(s, true);
	bool labelled;
	int r = 0;

	if (!len)
		return fail(p, "neither a comment nor the name of a metric");
	if (file->n_samples == PROM_SAMPLES_MAX)
		return fail(p, "more than %d samples", PROM_SAMPLES_MAX);
	labelled = *skip_blanks(s + len) == '{';
	if (labelled) {
		char *labels = skip_blanks(s + len) + 1;

		s[len] = '\0';
		r = parse_labels(p, &sample, &labels);
		s = labels;
	} else {
		s += len;
	}
	if (!r)
		r = parse_value(p, &sample, s);
	if (r < 0)
		return r;
	if (!labelled)
		*s = '\0'; /* the blank behind the name, which parse_value() has seen */
	r = grow((void **)&file->samples, &p->samples_room, file->n_samples,
		 sizeof(*file->samples));
	if (r < 0)
		return r;
	file->samples[file->n_samples++] = sample;
	return 0;
}

static int parse_line(struct parser *p, char *line)
{
	char *s = skip_blanks(line);

	return !*s || *s == '#' ? 0 : parse_sample(p, s);
}

static int parse_text(struct parser *p, size_t len)
{
	char *rest = p->file->text, *end = rest + len;
	int r;

	while (rest < end) {
		char *line = rest, *newline = memchr(rest, '\n', (size_t)(end - rest));

		p->line++;
		if (!newline)
			return fail(p, "the file ends in the middle of a line");
		if (memchr(line, '\0', (size_t)(newline - line)))
			return fail(p, "a NUL byte: this is not a text file");
		*newline = '\0';
		if (newline > line && newline[-1] == '\r')
			newline[-1] = '\0';
		r = parse_line(p, line);
		if (r < 0)
			return r;
		rest = newline + 1;
	}
	return 0;
}

int promfile_parse(const char *text, size_t len, struct promfile **ret, struct prom_error *error)
{
	_cleanup_(promfile_freep) struct promfile *file = calloc(1, sizeof(*file));
	struct parser p = { .file = file, .error = error };
	int r;

	*error = (struct prom_error){ 0 };
	if (!file)
		return -ENOMEM;
	if (len > PROM_BYTES_MAX)
		return fail(&p, "larger than %u MiB", PROM_BYTES_MAX >> 20);
	file->text = malloc(len + 1);
	if (!file->text)
		return -ENOMEM;
	memcpy(file->text, text, len);
	file->text[len] = '\0';
	r = parse_text(&p, len);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(file);
	return 0;
}

/* A fifo or a device would keep the reader for ever. */
static int check_regular(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return S_ISREG(st.st_mode) ? 0 : -EBADF;
}

int promfile_read(const char *path, struct promfile **ret, struct prom_error *error)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = check_regular(path);

	*error = (struct prom_error){ 0 };
	if (!r)
		r = read_file(path, &text, &len);
	if (!r)
		return promfile_parse(text, len, ret, error);
	snprintf(error->what, sizeof(error->what), "%s",
		 r == -EBADF ? "not a regular file" : strerror(-r));
	return r;
}

void promfile_free(struct promfile *file)
{
	if (!file)
		return;
	free(file->text);
	free(file->samples);
	free(file->labels);
	free(file);
}

const char *prom_label(const struct promfile *file, const struct prom_sample *sample,
		       const char *name)
{
	for (unsigned int i = 0; i < sample->n_labels; i++) {
		const struct prom_label *label = &file->labels[sample->first_label + i];

		if (!strcmp(label->name, name))
			return label->value;
	}
	return "";
}

const struct prom_sample *promfile_next(const struct promfile *file, const char *name,
					const struct prom_sample *after)
{
	size_t i = after ? (size_t)(after - file->samples) + 1 : 0;

	for (; i < file->n_samples; i++) {
		if (!strcmp(file->samples[i].name, name))
			return &file->samples[i];
	}
	return NULL;
}

static bool has_labels(const struct promfile *file, const struct prom_sample *sample, va_list ap)
{
	const char *name;

	while ((name = va_arg(ap, const char *))) {
		if (strcmp(prom_label(file, sample, name), va_arg(ap, const char *)))
			return false;
	}
	return true;
}

double promfile_sum(const struct promfile *file, const char *name, ...)
{
	const struct prom_sample *sample = NULL;
	double sum = 0;
	va_list ap;

	while ((sample = promfile_next(file, name, sample))) {
		bool has;

		va_start(ap, name);
		has = has_labels(file, sample, ap);
		va_end(ap);
		if (has && isfinite(sample->value))
			sum += sample->value;
	}
	return sum;
}
