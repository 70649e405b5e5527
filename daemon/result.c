// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report directory, read back: see result.h. The files may come from another machine and another
 * version: what the renderers rely on is checked here, by one table, and the rest is theirs to do
 * without.
 */
#include "result.h"

#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "report.h"
#include "snapshot.h"
#include "util.h"

#define FINDING_TEXT_MAX (256u << 10) /* bytes of one file of a finding */
#define FINDINGS_MAX	 2048
#define KEY_MAX		 160

/* Shapes of what may stand at a key. */
enum shape {
	WORDS,	/* an array of strings */
	COUNTS, /* an object of whole numbers */
	TABLE,	/* an object of such objects */
	COLUMN, /* an array of whole numbers */
	TEXT,
	NUMBER,
	REAL,
	OBJECT,
	TEXTS,	 /* an object of strings */
	CELLS,	 /* an array of objects of the matrix */
	REPORTS, /* an array of reports of the kernel log */
};

static const struct {
	const char *path;
	enum shape shape;
	bool optional; /* reports of older versions have none */
} members[] = {
	{ "daemon_version", TEXT },
	{ "verdict", TEXT },
	{ "reasons", WORDS },
	{ "kernel_release", TEXT },
	{ "cpu_model", TEXT },
	{ "seed", TEXT },
	{ "start_time", TEXT },
	{ "duration_s", REAL },
	{ "inject", OBJECT },
	{ "inject.backends", WORDS },
	{ "inject.kinds", WORDS },
	{ "timeouts", TABLE },
	{ "deadlocks", TABLE },
	{ "stalls", COUNTS, true },
	{ "born", NUMBER },
	{ "owners", NUMBER },
	{ "owners_by_kind", COUNTS },
	{ "freed", COUNTS },
	{ "live", NUMBER, true },
	{ "storages", COUNTS, true },
	{ "maps", COUNTS, true },
	{ "lockless_unlinks", NUMBER },
	{ "lockless_by_side", COUNTS, true },
	{ "visits", TABLE },
	{ "longest_s", OBJECT },
	{ "longest_s.map_free", REAL },
	{ "longest_s.destroy", REAL },
	{ "longest_s.visit", REAL },
	{ "coverage", OBJECT },
	{ "coverage.summary", TABLE },
	{ "coverage.covered", CELLS },
	{ "coverage.missing", CELLS },
	{ "coverage.unreachable", CELLS },
	{ "module", OBJECT },
	{ "holes", TABLE },
	{ "undocumented_holes", NUMBER },
	{ "undocumented_holes_by_kind", TABLE },
	{ "checks", OBJECT },
	{ "violations", NUMBER },
	{ "violations_by_kind", COUNTS },
	{ "misses", COUNTS },
	{ "kernel_log", COUNTS },
	{ "kernel_log_reports", REPORTS },
	{ "oracles", TEXTS },
	{ "rss_bytes", NUMBER },
	{ "mapped_bytes", NUMBER },
	{ "leaked_bytes", NUMBER },
	{ "leak_budget_bytes", NUMBER },
	{ "cpu", OBJECT },
	{ "cpu.user_s", REAL },
	{ "cpu.system_s", REAL },
	{ "cpu.bookkeeping_s", REAL },
	{ "config", TEXTS },
	{ "series", OBJECT, true },
	{ "series.elapsed_ns", COLUMN, true },
	{ "series.owners", COLUMN, true },
	{ "series.selems", COLUMN, true },
	{ "series.faults", OBJECT, true },
	{ "series.faults.organic", COLUMN, true },
	{ "series.faults.contended", COLUMN, true },
	{ "series.faults.forced", COLUMN, true },
	{ "series.lockless_unlinks", COLUMN, true },
	{ "series.holes", COLUMN, true },
	{ "series.undocumented_holes", COLUMN, true },
	{ "series.violations", COLUMN, true },
};

/* Access ------------------------------------------------------------------------------------- */

struct json_object *json_at(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &value);
	return value;
}

uint64_t json_number_at(struct json_object *object, const char *key)
{
	return json_object_get_uint64(json_at(object, key));
}

const char *json_text_at(struct json_object *object, const char *key)
{
	struct json_object *value = json_at(object, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

struct json_object *result_get(const struct result *result, const char *path)
{
	struct json_object *value = result->root;
	char key[KEY_MAX];

	while (*path && value) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		value = json_at(value, key);
		path += len + (path[len] == '.');
	}
	return value;
}

uint64_t result_number(const struct result *result, const char *path)
{
	return json_object_get_uint64(result_get(result, path));
}

double result_real(const struct result *result, const char *path)
{
	return json_object_get_double(result_get(result, path));
}

const char *result_text(const struct result *result, const char *path)
{
	struct json_object *value = result_get(result, path);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

uint64_t json_total(struct json_object *object)
{
	uint64_t total = 0;

	if (!json_object_is_type(object, json_type_object))
		return json_object_get_uint64(object);
	json_object_object_foreach(object, key, value)
	{
		(void)key;
		total += json_total(value);
	}
	return total;
}

bool json_has_word(struct json_object *array, const char *word)
{
	for (size_t i = 0; array && i < json_object_array_length(array); i++) {
		if (!strcmp(json_object_get_string(json_object_array_get_idx(array, i)), word))
			return true;
	}
	return false;
}

bool result_injects(const struct result *result)
{
	return json_object_array_length(result_get(result, "inject.backends"));
}

uint64_t result_failures(const struct result *result, const char *kind)
{
	return json_total(json_at(result_get(result, "timeouts"), kind)) +
	       json_total(json_at(result_get(result, "deadlocks"), kind));
}

bool result_was_forced(const struct result *result)
{
	const char *forced = fault_kind_name(FAULT_FORCED);

	return json_has_word(result_get(result, "inject.kinds"), forced) ||
	       result_failures(result, forced);
}

/* Matrix ------------------------------------------------------------------------------------- */

/* The cell that an element of coverage speaks of; NULL: one that this version does not know. */
static struct result_cell *cell_of(struct result_matrix *matrix, struct json_object *element)
{
	unsigned int side = 0, bucket = 0, storage = 0, outcome = 0;

	while (side < SOAK_SIDE_NR && strcmp(json_text_at(element, "side"), side_name(side)))
		side++;
	while (bucket < SOAK_LOCK_NR &&
	       strcmp(json_text_at(element, "bucket"), lock_result_name(bucket)))
		bucket++;
	while (storage < SOAK_LOCK_NR &&
	       strcmp(json_text_at(element, "storage"), lock_result_name(storage)))
		storage++;
	while (outcome < SOAK_OUTCOME_NR &&
	       strcmp(json_text_at(element, "outcome"), outcome_name(outcome)))
		outcome++;
	if (side == SOAK_SIDE_NR || bucket == SOAK_LOCK_NR || storage == SOAK_LOCK_NR ||
	    outcome == SOAK_OUTCOME_NR)
		return NULL;
	return &matrix->cells[side][bucket][storage][outcome];
}

void result_matrix(const struct result *result, struct result_matrix *ret)
{
	struct json_object *covered = result_get(result, "coverage.covered");
	struct json_object *missing = result_get(result, "coverage.missing");
	struct json_object *unreachable = result_get(result, "coverage.unreachable");

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < json_object_array_length(covered); i++) {
		struct json_object *element = json_object_array_get_idx(covered, i);

		cell_of(ret, element)->visits += json_number_at(element, "visits");
	}
	for (size_t i = 0; i < json_object_array_length(missing); i++) {
		struct result_cell *cell = cell_of(ret, json_object_array_get_idx(missing, i));

		/* Of another kind of failure there may have been one. */
		cell->missing = !cell->visits;
	}
	for (size_t i = 0; i < json_object_array_length(unreachable); i++) {
		struct json_object *element = json_object_array_get_idx(unreachable, i);

		cell_of(ret, element)->reason = json_text_at(element, "reason");
	}
}

uint64_t result_in_doubt(const struct result_matrix *matrix, unsigned int side)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < SOAK_LOCK_NR * SOAK_LOCK_NR; i++) {
		unsigned int bucket = i / SOAK_LOCK_NR, storage = i % SOAK_LOCK_NR;

		if (bucket != SOAK_LOCK_EITHER && storage != SOAK_LOCK_EITHER)
			continue;
		for (unsigned int o = 0; o < SOAK_OUTCOME_NR; o++)
			n += matrix->cells[side][bucket][storage][o].visits;
	}
	return n;
}

/* Checks ------------------------------------------------------------------------------------- */

/* What is checked, and the way to it, for messages. */
struct check {
	const char *file;
	char path[KEY_MAX];
};

static int complain(const struct check *check, const char *what)
{
	log_error("%s: %s: %s", check->file, check->path, what);
	return -EINVAL;
}

/* One step deeper; the caller takes it back by cutting the path at the length returned. */
static size_t step_into(struct check *check, const char *key)
{
	size_t len = strlen(check->path);

	snprintf(check->path + len, sizeof(check->path) - len, ".%s", key);
	return len;
}

/* An object of numbers for depth 1, an object of such objects for 2. */
static int check_counts(struct check *check, struct json_object *value, unsigned int depth)
{
	if (!depth && json_object_is_type(value, json_type_int))
		return 0;
	if (!depth)
		return complain(check, "not a whole number");
	if (!json_object_is_type(value, json_type_object))
		return complain(check, "not an object");
	json_object_object_foreach(value, key, member)
	{
		size_t len = step_into(check, key);
		int r = check_counts(check, member, depth - 1);

		if (r < 0)
			return r;
		check->path[len] = '\0';
	}
	return 0;
}

static int check_texts(struct check *check, struct json_object *value)
{
	if (!json_object_is_type(value, json_type_object))
		return complain(check, "not an object");
	json_object_object_foreach(value, key, member)
	{
		if (json_object_is_type(member, json_type_string))
			continue;
		step_into(check, key);
		return complain(check, "not a string");
	}
	return 0;
}

static int check_cell(struct check *check, struct json_object *element)
{
	static struct result_matrix scratch;

	if (!cell_of(&scratch, element))
		return complain(check, "not a cell that this version knows: side, bucket, storage, "
				       "outcome");
	return 0;
}

static int check_log_report(struct check *check, struct json_object *element)
{
	if (!json_object_is_type(json_at(element, "class"), json_type_string) ||
	    !json_object_is_type(json_at(element, "text"), json_type_string))
		return complain(check, "no report of the kernel log: class, text");
	return 0;
}

static int check_element(struct check *check, enum shape shape, struct json_object *element)
{
	switch (shape) {
	case WORDS:
		return json_object_is_type(element, json_type_string)
			       ? 0
			       : complain(check, "not a string");
	case COLUMN:
		return json_object_is_type(element, json_type_int)
			       ? 0
			       : complain(check, "not a whole number");
	case CELLS:
		return check_cell(check, element);
	default:
		return check_log_report(check, element);
	}
}

static int check_array(struct check *check, enum shape shape, struct json_object *value)
{
	if (!json_object_is_type(value, json_type_array))
		return complain(check, "not an array");
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		char index[24];
		size_t len;
		int r;

		snprintf(index, sizeof(index), "%zu", i);
		len = step_into(check, index);
		r = check_element(check, shape, json_object_array_get_idx(value, i));
		if (r < 0)
			return r;
		check->path[len] = '\0';
	}
	return 0;
}

static int check_shape(struct check *check, enum shape shape, struct json_object *value)
{
	switch (shape) {
	case TEXT:
		return json_object_is_type(value, json_type_string)
			       ? 0
			       : complain(check, "not a string");
	case NUMBER:
		return json_object_is_type(value, json_type_int)
			       ? 0
			       : complain(check, "not a whole number");
	case REAL:
		return json_object_is_type(value, json_type_double) ||
				       json_object_is_type(value, json_type_int)
			       ? 0
			       : complain(check, "not a number");
	case OBJECT:
		return json_object_is_type(value, json_type_object)
			       ? 0
			       : complain(check, "not an object");
	case COUNTS:
		return check_counts(check, value, 1);
	case TABLE:
		return check_counts(check, value, 2);
	case TEXTS:
		return check_texts(check, value);
	default:
		return check_array(check, shape, value);
	}
}

static int check_version(const struct result *result, struct check *check)
{
	_cleanup_free_ char *what = NULL;
	uint64_t version = result_number(result, "version");

	strcpy(check->path, "version");
	if (!json_object_is_type(result->root, json_type_object) || !result_get(result, "version"))
		return complain(check, "is missing: this is no report of bpfsoakd");
	if (version == REPORT_VERSION)
		return 0;
	what = format("%llu; this bpfsoakd reads %d", (unsigned long long)version, REPORT_VERSION);
	return complain(check, what ? what : "not known");
}

/* A curve needs as many values as moments. */
static int check_series(const struct result *result, struct check *check)
{
	struct json_object *elapsed = result_get(result, "series.elapsed_ns");

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		struct json_object *column = result_get(result, members[i].path);

		if (members[i].shape != COLUMN || !column)
			continue;
		snprintf(check->path, sizeof(check->path), "%s", members[i].path);
		if (!elapsed ||
		    json_object_array_length(column) != json_object_array_length(elapsed))
			return complain(check, "not as long as series.elapsed_ns");
	}
	return 0;
}

static int check_report(const struct result *result, const char *file)
{
	struct check check = { .file = file };
	int r = check_version(result, &check);

	for (size_t i = 0; !r && i < ARRAY_SIZE(members); i++) {
		struct json_object *value = result_get(result, members[i].path);

		snprintf(check.path, sizeof(check.path), "%s", members[i].path);
		if (value)
			r = check_shape(&check, members[i].shape, value);
		else if (!members[i].optional)
			r = complain(&check, "is missing");
	}
	return r ? r : check_series(result, &check);
}

/* Reading ------------------------------------------------------------------------------------ */

static unsigned int line_of(const char *text, size_t offset)
{
	unsigned int line = 1;

	for (size_t i = 0; i < offset; i++)
		line += text[i] == '\n';
	return line;
}

static void tokener_freep(struct json_tokener **tokener)
{
	if (*tokener)
		json_tokener_free(*tokener);
}

static int parse_json(const char *file, const char *text, size_t len, struct json_object **ret)
{
	_cleanup_(tokener_freep) struct json_tokener *tokener = json_tokener_new();
	struct json_object *root;
	size_t end;

	if (!tokener)
		return -ENOMEM;
	/* The NUL behind the text tells a number at its end from the beginning of one. */
	root = json_tokener_parse_ex(tokener, text, (int)len + 1);
	end = json_tokener_get_parse_end(tokener);
	/* "null" is valid, and comes as NULL; whoever looks for keys finds none. */
	if (json_tokener_get_error(tokener) != json_tokener_success) {
		log_error("%s:%u: not JSON: %s", file, line_of(text, MIN(end, len)),
			  json_tokener_error_desc(json_tokener_get_error(tokener)));
		json_object_put(root);
		return -EINVAL;
	}
	end += strspn(text + MIN(end, len), " \t\r\n");
	if (end < len) {
		log_error("%s:%u: not JSON: something follows the end", file, line_of(text, end));
		json_object_put(root);
		return -EINVAL;
	}
	*ret = root;
	return 0;
}

/* Only what is a file itself, and not too large: a report may come from anywhere. */
static int read_text(const char *path, size_t max, char **ret, size_t *ret_len)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADF;
	if ((size_t)st.st_size > max)
		return -EFBIG;
	return read_file(path, ret, ret_len);
}

static int read_json(const char *path, struct json_object **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = read_text(path, 64u << 20, &text, &len);

	if (r == -EBADF)
		log_error("%s: not a regular file", path);
	else if (r < 0)
		log_error("%s: %s", path, strerror(-r));
	return r < 0 ? r : parse_json(path, text, len, ret);
}

/* Findings ----------------------------------------------------------------------------------- */

static struct result_finding *add_finding(struct result *result, const char *signature)
{
	struct result_finding *bigger;

	if (result->n_findings == FINDINGS_MAX)
		return NULL;
	bigger = reallocarray(result->findings, result->n_findings + 1, sizeof(*bigger));
	if (!bigger)
		return NULL;
	result->findings = bigger;
	bigger += result->n_findings;
	*bigger = (struct result_finding){ .signature = strdup(signature) };
	if (!bigger->signature)
		return NULL;
	result->n_findings++;
	return bigger;
}

static struct result_finding *find_directory(const struct result *result, const char *name)
{
	for (size_t i = 0; i < result->n_findings; i++) {
		const char *directory = result->findings[i].directory;

		if (directory && !strcmp(directory, name))
			return &result->findings[i];
	}
	return NULL;
}

/* One name below the directory of findings, and nothing else. */
static bool is_plain_name(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/');
}

static void take_index(struct result *result, struct json_object *index)
{
	struct json_object *array = json_at(index, "findings");

	result->beyond = json_number_at(index, "beyond");
	if (!json_object_is_type(array, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *element = json_object_array_get_idx(array, i);
		const char *directory = json_text_at(element, "directory");
		struct result_finding *finding =
			add_finding(result, json_text_at(element, "signature"));

		if (!finding)
			return;
		finding->class = strdup(json_text_at(element, "class"));
		finding->count = json_number_at(element, "count");
		if (is_plain_name(directory))
			finding->directory = strdup(directory);
	}
}

static void read_index(struct result *result, const char *dir)
{
	_cleanup_free_ char *path = format("%s/index.json", dir);
	struct json_object *index = NULL;

	if (!path || access(path, F_OK) < 0)
		return; /* a run without findings has none */
	if (read_json(path, &index) < 0) {
		log_warning("%s is left out: findings are shown without their counts", path);
		return;
	}
	take_index(result, index);
	json_object_put(index);
}

static int is_directory(const struct dirent *entry)
{
	return entry->d_type == DT_DIR && is_plain_name(entry->d_name);
}

/* "omem-none" of "001-omem-none". */
static const char *signature_of(const char *directory)
{
	size_t digits = strspn(directory, "0123456789");

	return digits && directory[digits] == '-' ? directory + digits + 1 : directory;
}

/* Also those that no index knows: a guest that died wrote none. */
static void read_directories(struct result *result, const char *dir)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, is_directory, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		struct result_finding *finding = find_directory(result, name);

		if (!finding)
			finding = add_finding(result, signature_of(name));
		if (finding && !finding->directory)
			finding->directory = strdup(name);
		free(entries[i]);
	}
	free(entries);
}

static char *read_part(const char *dir, const char *finding, const char *file)
{
	_cleanup_free_ char *path = format("%s/%s/%s", dir, finding, file);
	char *text = NULL;
	int r;

	if (!path)
		return NULL;
	r = read_text(path, FINDING_TEXT_MAX, &text, NULL);
	if (r < 0 && r != -ENOENT)
		log_warning("%s is left out: %s", path,
			    r == -EBADF ? "not a regular file" : strerror(-r));
	return text;
}

/* A link may lead anywhere. */
static bool is_real_directory(const char *dir, const char *name)
{
	_cleanup_free_ char *path = format("%s/%s", dir, name);
	struct stat st;

	return path && !lstat(path, &st) && S_ISDIR(st.st_mode);
}

static void read_findings(struct result *result, const char *dir)
{
	_cleanup_free_ char *findings = format("%s/findings", dir);

	if (!findings)
		return;
	read_index(result, findings);
	read_directories(result, findings);
	for (size_t i = 0; i < result->n_findings; i++) {
		struct result_finding *finding = &result->findings[i];

		if (!finding->directory || !is_real_directory(findings, finding->directory))
			continue;
		finding->summary = read_part(findings, finding->directory, "summary.txt");
		finding->history = read_part(findings, finding->directory, "history.txt");
		finding->replay = read_part(findings, finding->directory, "replay");
	}
}

int result_read(const char *dir, struct result **ret)
{
	_cleanup_(result_freep) struct result *result = calloc(1, sizeof(*result));
	_cleanup_free_ char *path = format("%s/report.json", dir);
	int r;

	if (!result || !path)
		return -ENOMEM;
	r = read_json(path, &result->root);
	if (!r)
		r = check_report(result, path);
	if (r < 0)
		return r;
	read_findings(result, dir);
	*ret = TAKE_PTR(result);
	return 0;
}

void result_free(struct result *result)
{
	if (!result)
		return;
	json_object_put(result->root);
	for (size_t i = 0; i < result->n_findings; i++) {
		struct result_finding *finding = &result->findings[i];

		free(finding->signature);
		free(finding->class);
		free(finding->directory);
		free(finding->summary);
		free(finding->history);
		free(finding->replay);
	}
	free(result->findings);
	free(result);
}
