// SPDX-License-Identifier: GPL-2.0-only
/* Helpers without state: see util.h. */
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define READ_FILE_MAX (64u << 20)

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

void sleep_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
			       .tv_nsec = (long)(ns % NSEC_PER_SEC) };

	nanosleep(&ts, NULL);
}

void pin_thread(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

int nth_cpu(const cpu_set_t *cpus, unsigned int n)
{
	int cpu = 0;

	n %= (unsigned int)CPU_COUNT(cpus);
	for (;; cpu++)
		if (CPU_ISSET(cpu, cpus) && !n--)
			return cpu;
}

double now_realtime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int read_file(const char *path, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *buf = NULL;
	size_t len = 0, cap = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		if (cap - len < 4096) {
			char *bigger;

			if (cap >= READ_FILE_MAX)
				return -EFBIG;
			cap = cap ? cap * 2 : 8192;
			bigger = realloc(buf, cap);
			if (!bigger)
				return -ENOMEM;
			buf = bigger;
		}
		n = read(fd, buf + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	if (ret_len)
		*ret_len = len;
	*ret = TAKE_PTR(buf);
	return 0;
}

int read_file_u64(const char *path, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	char *end;
	uint64_t value;
	int r;

	r = read_file(path, &text, NULL);
	if (r < 0)
		return r;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno)
		return -errno;
	if (end == text)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write_all(fd, text, strlen(text));
}

void sync_dir(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		fsync(fd);
}

/* The new file is in place whatever comes of it. */
static void sync_dir_of(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	if (copy)
		sync_dir(dirname(copy));
}

static int write_temporary(const char *tmp, const void *data, size_t len)
{
	_cleanup_close_ int fd = -1;
	int r;

	/* Left by another of the same id; nobody else's is written to. */
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	/* Whatever the umask: who may look is the directory's business. */
	fchmod(fd, 0644);
	r = write_all(fd, data, len);
	if (r < 0)
		return r;
	if (fsync(fd) < 0 && errno != EINVAL)
		return -errno;
	/* Some file systems report a full disk only here. */
	return close(TAKE_FD(fd)) < 0 ? -errno : 0;
}

int write_file_atomic(const char *path, const void *data, size_t len)
{
	_cleanup_free_ char *tmp = format("%s.%d.tmp", path, getpid());
	int r;

	if (!tmp)
		return -ENOMEM;
	r = write_temporary(tmp, data, len);
	if (!r && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(tmp);
		return r;
	}
	sync_dir_of(path);
	return 0;
}

static int make_dir(const char *path, unsigned int mode)
{
	struct stat st;

	if (!mkdir(path, mode))
		return 0;
	if (errno != EEXIST || stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int make_dirs(const char *path, unsigned int mode)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	if (!*copy)
		return -ENOENT;
	for (char *p = copy + 1; *p; p++) {
		int r;

		if (*p != '/')
			continue;
		*p = '\0';
		r = make_dir(copy, mode);
		if (r < 0)
			return r;
		*p = '/';
	}
	return make_dir(copy, mode);
}

char *vformat(const char *fmt, va_list ap)
{
	char *text;

	return vasprintf(&text, fmt, ap) < 0 ? NULL : text;
}

char *format(const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = vformat(fmt, ap);
	va_end(ap);
	return text;
}

void format_elapsed(char *buf, size_t size, uint64_t ns)
{
	unsigned long long t = ns / NSEC_PER_SEC;

	if (t < 60)
		snprintf(buf, size, "%llus", t);
	else if (t < 3600)
		snprintf(buf, size, "%llum%02llus", t / 60, t % 60);
	else
		snprintf(buf, size, "%lluh%02llum%02llus", t / 3600, t / 60 % 60, t % 60);
}

void print_wrapped(FILE *out, const char *label, size_t indent, size_t width, const char *text)
{
	size_t column = indent;

	fprintf(out, "%-*s", (int)indent, label);
	while (*text) {
		size_t len = strcspn(text, " ");

		if (column > indent && column + 1 + len > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", (int)len, text);
		column += len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

void print_troff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
	}
}
