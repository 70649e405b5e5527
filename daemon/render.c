// SPDX-License-Identifier: GPL-2.0-only
/* What the ways to render a report share, and the choice among them: see render.h. */
#include "render.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "config.h"
#include "log.h"
#include "report.h"
#include "result.h"
#include "snapshot.h"
#include "util.h"

#define EXIT_USAGE    2
#define EXIT_INTERNAL 4

static void (*const renderers[FORMAT_NR])(FILE *out, const struct result *result) = {
	[FORMAT_TEXT] = render_text, [FORMAT_HTML] = render_html,   [FORMAT_JSON] = render_json,
	[FORMAT_KTAP] = render_ktap, [FORMAT_JUNIT] = render_junit,
};

void render_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '&')
			fputs("&amp;", out);
		else if (c == '<')
			fputs("&lt;", out);
		else if (c == '>')
			fputs("&gt;", out);
		else if (c == '"')
			fputs("&quot;", out);
		else if (c == '\'')
			fputs("&#39;", out);
		else
			fputc((c < 0x20 && c != '\n' && c != '\t') || c > 0x7e ? '?' : c, out);
	}
}

uint64_t render_elapsed_ns(const struct result *result)
{
	double seconds = result_real(result, "duration_s");

	return seconds > 0 && seconds < 1e9 ? (uint64_t)(seconds * 1e9 + 0.5) : 0;
}

void render_backends(FILE *out, const struct result *result)
{
	struct json_object *backends = result_get(result, "inject.backends");

	for (size_t i = 0; i < json_object_array_length(backends); i++)
		fprintf(out, "%s%s", i ? "," : "",
			json_object_get_string(json_object_array_get_idx(backends, i)));
	if (!json_object_array_length(backends))
		fputs("none", out);
}

/* One line of text, made by print(). */
static void make_line(const struct result *result,
		      bool (*print)(FILE *out, const struct result *result),
		      void (*line)(void *context, const char *text), void *context)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool printed;

	if (!out)
		return;
	printed = print(out, result);
	if (!fclose(out) && printed)
		line(context, text);
}

static bool print_forced(FILE *out, const struct result *result)
{
	if (!result_was_forced(result))
		return false;
	fputs(REPORT_FORCED, out);
	return true;
}

static bool print_injected(FILE *out, const struct result *result)
{
	struct json_object *kinds = result_get(result, "inject.kinds");
	const char *separator = "";

	if (!result_injects(result))
		return false;
	fputs("FAULTS WERE INJECTED: ", out);
	for (unsigned int k = 0; k < FAULT_NR; k++) {
		if (!json_has_word(kinds, fault_kind_name(k)))
			continue;
		fprintf(out, "%s%s", separator, report_kind_notice(k));
		separator = "; ";
	}
	if (!*separator)
		render_backends(out, result);
	return true;
}

/* What failed and was not to: an injection that is not ours, or a kernel in trouble. */
static bool print_surprises(FILE *out, const struct result *result)
{
	struct json_object *kinds = result_get(result, "inject.kinds");
	bool any = false;

	for (unsigned int k = 0; k < FAULT_NR; k++) {
		uint64_t n = result_failures(result, fault_kind_name(k));

		if (!n || json_has_word(kinds, fault_kind_name(k)))
			continue;
		if (any)
			fputs(", ", out);
		else
			fprintf(out, "NO%s FAULTS WERE INJECTED, and yet locks failed: ",
				result_injects(result) ? " SUCH" : "");
		fprintf(out, "%s %llu", fault_kind_name(k), (unsigned long long)n);
		any = true;
	}
	return any;
}

void render_faults(const struct result *result, void (*line)(void *context, const char *text),
		   void *context)
{
	make_line(result, print_forced, line, context);
	make_line(result, print_injected, line, context);
	make_line(result, print_surprises, line, context);
}

void render_json(FILE *out, const struct result *result)
{
	fprintf(out, "%s\n",
		json_object_to_json_string_ext(result->root,
					       JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* A report from elsewhere may hold anything, and a terminal obeys what it gets. */
static void print_printable(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		fputc((c < 0x20 && c != '\n' && c != '\t') || c > 0x7e ? '?' : c, out);
	}
}

static int print_to(FILE *stream, const struct result *result, enum report_format format)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	renderers[format](out, result);
	if (fclose(out))
		return -ENOMEM;
	print_printable(stream, text, len);
	return 0;
}

int render_run(const struct config *config)
{
	const char *dir = config->operand ? config->operand : config->report_dir;
	_cleanup_(result_freep) struct result *result = NULL;
	int r;

	if (!dir) {
		log_error("report: no DIR; give the one that run --report fills, or --config");
		return EXIT_USAGE;
	}
	r = result_read(dir, &result);
	if (r == -ENOMEM)
		log_error("out of memory");
	if (r < 0)
		return EXIT_USAGE;
	r = print_to(stdout, result, config->format);
	if (r == -ENOMEM || fflush(stdout) || ferror(stdout)) {
		log_error("cannot write the report: %s", strerror(errno));
		return EXIT_INTERNAL;
	}
	return 0;
}
