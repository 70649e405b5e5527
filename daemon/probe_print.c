// SPDX-License-Identifier: GPL-2.0-only
/* A probe for people (aligned, grouped, the modes last) and for programs (JSON): see probe.h. */
#include "probe.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "util.h"

#define PROBE_JSON_VERSION 1

static void json_freep(struct json_object **object)
{
	json_object_put(*object);
}

static const char *answer_name(enum probe_answer answer)
{
	static const char *const names[] = {
		[PROBE_NO] = "no",
		[PROBE_YES] = "yes",
		[PROBE_UNKNOWN] = "unknown",
		[PROBE_VALUE] = "value",
	};

	return names[answer];
}

static int name_width(const struct probe *probe)
{
	size_t width = 0;

	for (size_t i = 0; i < probe->n_items; i++)
		width = MAX(width, strlen(probe->items[i].name));
	return (int)width;
}

static void print_item(const struct probe_item *item, int width, FILE *out)
{
	const char *detail = item->detail ? item->detail : "";

	if (item->answer == PROBE_VALUE)
		fprintf(out, "  %-*s  %s\n", width, item->name, detail);
	else if (item->detail)
		fprintf(out, "  %-*s  %-7s  %s\n", width, item->name, answer_name(item->answer),
			detail);
	else
		fprintf(out, "  %-*s  %s\n", width, item->name, answer_name(item->answer));
}

static void print_mode(const struct probe_mode *mode, FILE *out)
{
	if (mode->usable)
		fprintf(out, "  %-13s  usable\n", mode->name);
	else
		fprintf(out, "  %-13s  not usable: %s\n", mode->name, mode->missing);
}

void probe_print(const struct probe *probe, FILE *out)
{
	const char *group = NULL;
	int width = name_width(probe);

	for (size_t i = 0; i < probe->n_items; i++) {
		const struct probe_item *item = &probe->items[i];

		if (!group || strcmp(group, item->group))
			fprintf(out, "%s%s\n", group ? "\n" : "", item->group);
		group = item->group;
		print_item(item, width, out);
	}
	fprintf(out, "\nmodes of run --inject\n");
	for (size_t i = 0; i < probe->n_modes; i++)
		print_mode(&probe->modes[i], out);
}

/* Takes value over; NULL means that making it failed, unless null is meant. */
static int put(struct json_object *object, const char *key, struct json_object *value)
{
	if (!value)
		return -ENOMEM;
	if (json_object_object_add(object, key, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

static int put_text(struct json_object *object, const char *key, const char *text)
{
	if (!text)
		return json_object_object_add(object, key, NULL) < 0 ? -ENOMEM : 0;
	return put(object, key, json_object_new_string(text));
}

static int put_bool(struct json_object *object, const char *key, bool value)
{
	return put(object, key, json_object_new_boolean(value));
}

/* Makes the object first, so that a failure while filling it leaks nothing. */
static int append(struct json_object *array, struct json_object **ret)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return -ENOMEM;
	if (json_object_array_add(array, object) < 0) {
		json_object_put(object);
		return -ENOMEM;
	}
	*ret = object;
	return 0;
}

static int put_item(struct json_object *array, const struct probe_item *item)
{
	struct json_object *object;
	int r;

	r = append(array, &object);
	r = r ?: put_text(object, "group", item->group);
	r = r ?: put_text(object, "name", item->name);
	r = r ?: put_text(object, "answer", answer_name(item->answer));
	return r ?: put_text(object, "detail", item->detail);
}

static int put_mode(struct json_object *array, const struct probe_mode *mode)
{
	struct json_object *object;
	int r;

	r = append(array, &object);
	r = r ?: put_text(object, "name", mode->name);
	r = r ?: put_bool(object, "injecting", mode->injecting);
	r = r ?: put_bool(object, "usable", mode->usable);
	r = r ?: put_bool(object, "needs_accept_panic", mode->needs_accept_panic);
	return r ?: put_text(object, "missing", mode->missing);
}

static int put_items(struct json_object *root, const struct probe *probe)
{
	struct json_object *array = json_object_new_array();
	int r;

	r = put(root, "items", array);
	for (size_t i = 0; !r && i < probe->n_items; i++)
		r = put_item(array, &probe->items[i]);
	return r;
}

static int put_modes(struct json_object *root, const struct probe *probe)
{
	struct json_object *array = json_object_new_array();
	int r;

	r = put(root, "modes", array);
	for (size_t i = 0; !r && i < probe->n_modes; i++)
		r = put_mode(array, &probe->modes[i]);
	return r;
}

int probe_print_json(const struct probe *probe, FILE *out)
{
	_cleanup_(json_freep) struct json_object *root = json_object_new_object();
	const char *text;
	int r;

	if (!root)
		return -ENOMEM;
	r = put(root, "version", json_object_new_int(PROBE_JSON_VERSION));
	r = r ?: put_text(root, "kernel_release", probe->release);
	r = r ?: put_text(root, "cpu_model", probe->cpu_model);
	r = r ?: put_bool(root, "hypervisor", probe->hypervisor);
	r = r ?: put_bool(root, "nofail", probe->nofail);
	r = r ?: put_bool(root, "lsm_bpf", probe->lsm_bpf);
	r = r ?: put_bool(root, "panic_on_warn", probe->panic_on_warn);
	r = r ?: put_items(root, probe);
	r = r ?: put_modes(root, probe);
	r = r ?: put(root, "exit_code", json_object_new_int(probe_exit_code(probe)));
	if (r < 0)
		return r;
	text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_SPACED |
							    JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text)
		return -ENOMEM;
	fprintf(out, "%s\n", text);
	return fflush(out) ? -errno : 0;
}
